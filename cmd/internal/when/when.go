// Package when reads the times and durations that people type. It reads no clock: now is an argument.
package when

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/xhit/go-str2duration/v2"
)

var (
	// ErrRead is returned (wrapped) for what is no time, or one that can't be meant.
	ErrRead = errors.New("can't read the time")
	// ErrPast is returned (wrapped) for a time that has passed.
	ErrPast = errors.New("the time is in the past")
	// ErrEndsBefore is returned (wrapped) for the end of a window that ends before it begins.
	ErrEndsBefore = errors.New("the window ends before it begins")
)

// MaxAhead is how far ahead an ETA may lie; beyond it is a slip of the keyboard.
const MaxAhead = 366 * 24 * time.Hour

// Parse reads a point in time after now: a duration ("30m", "30min", "1h30m", "1d"), a time of day ("18:30",
// "6:30pm", the next one in now's time zone), a date and time in that zone ("2026-12-01 18:30") or RFC 3339. The error
// wraps ErrRead or ErrPast.
func Parse(s string, now time.Time) (time.Time, error) {
	t, err := read(strings.TrimSpace(s), now)
	if err != nil {
		return time.Time{}, err
	}
	t = t.UTC().Truncate(time.Second) // before it is compared: what is left of "1ms" is now
	if !t.After(now) {
		return time.Time{}, fmt.Errorf("%w: %q", ErrPast, s)
	}
	if t.Sub(now) > MaxAhead {
		return time.Time{}, fmt.Errorf("%w: %q is more than a year ahead", ErrRead, s)
	}
	return t, nil
}

func read(s string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	if IsTimeOfDay(s) {
		return nextTimeOfDay(s, now)
	}
	if date, clock, found := strings.Cut(s, " "); found {
		if day, err := time.Parse(time.DateOnly, date); err == nil {
			return onDate(day, strings.TrimSpace(clock), s, now.Location())
		}
	}
	d, err := Duration(s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %q", ErrRead, s)
	}
	if d <= 0 {
		return time.Time{}, fmt.Errorf("%w: %q", ErrPast, s)
	}
	return now.Add(d), nil
}

// minutes are written like this too.
var minutes = regexp.MustCompile(`([0-9])mins?($|[0-9])`)

// Until reads a point in time as Parse does, but for a time of day: that is the next one after from. The error may wrap
// ErrEndsBefore, too.
func Until(s string, from, now time.Time) (time.Time, error) {
	if IsTimeOfDay(s) {
		until, err := nextTimeOfDay(s, from.In(now.Location()))
		return until.UTC(), err
	}
	until, err := Parse(s, now)
	if errors.Is(err, ErrPast) || err == nil && !until.After(from) {
		return until, fmt.Errorf("%w: %q", ErrEndsBefore, s)
	}
	return until, err
}

// Duration reads a duration with days and weeks, which may be negative.
func Duration(s string) (time.Duration, error) {
	if s == "" {
		return 0, ErrRead
	}
	return str2duration.ParseDuration(minutes.ReplaceAllString(s, "${1}m$2"))
}

// timeOfDay reads "18:30", "6:30pm" and "6pm".
func timeOfDay(s string) (hour, minute int, ok bool) {
	for _, layout := range []string{"15:04", "3:04pm", "3:04 pm", "3pm", "3 pm"} {
		if t, err := time.Parse(layout, strings.ToLower(strings.TrimSpace(s))); err == nil {
			return t.Hour(), t.Minute(), true
		}
	}
	return 0, 0, false
}

// onDate is a time of day on a date. Without an offset of its own it is in zone, where clocks show it once that day:
// not at all where they are put forward, and twice where they are put back.
func onDate(day time.Time, clock, said string, zone *time.Location) (time.Time, error) {
	for _, layout := range []string{"15:04Z07:00", "15:04 Z07:00"} {
		if t, err := time.Parse(layout, clock); err == nil {
			return time.Date(day.Year(), day.Month(), day.Day(), t.Hour(), t.Minute(), 0, 0, t.Location()), nil
		}
	}
	hour, minute, ok := timeOfDay(clock)
	if !ok {
		return time.Time{}, fmt.Errorf("%w: %q", ErrRead, said)
	}
	wall := time.Date(day.Year(), day.Month(), day.Day(), hour, minute, 0, 0, time.UTC)
	shown := shownIn(zone, wall)
	switch len(shown) {
	case 0:
		return time.Time{}, fmt.Errorf("%w: clocks here never show %q: they are put forward then", ErrRead, said)
	case 1:
		return shown[0], nil
	}
	return time.Time{}, fmt.Errorf("%w: clocks here show %q twice: say which with its offset, %s or %s",
		ErrRead, said, shown[0].Format(time.RFC3339), shown[1].Format(time.RFC3339))
}

// shownIn is when clocks in zone show what a clock shows, the earliest first.
func shownIn(zone *time.Location, wall time.Time) (shown []time.Time) {
	for _, offset := range offsets(wall, zone) {
		t := wall.Add(-offset).In(zone)
		if t.Format(time.DateTime) == wall.Format(time.DateTime) {
			shown = append(shown, t)
		}
	}
	return shown
}

// offsets are how far zone may be from UTC at about the time of a clock, the greatest first: what it was a day before
// and what it is a day after, each once.
func offsets(wall time.Time, zone *time.Location) []time.Duration {
	_, before := wall.Add(-24 * time.Hour).In(zone).Zone()
	_, after := wall.Add(24 * time.Hour).In(zone).Zone()
	out := []time.Duration{time.Duration(max(before, after)) * time.Second}
	if before != after {
		out = append(out, time.Duration(min(before, after))*time.Second)
	}
	return out
}

// IsTimeOfDay reports whether s is a time of day.
func IsTimeOfDay(s string) bool {
	_, _, ok := timeOfDay(s)
	return ok
}

// IsLaterDay reports whether s is a time of day that has passed today, so that t, which Parse made of it, is on another
// day.
func IsLaterDay(s string, t, now time.Time) bool {
	return IsTimeOfDay(s) && t.In(now.Location()).Format(time.DateOnly) != now.Format(time.DateOnly)
}

// nextTimeOfDay is when clocks in now's time zone next show a time of day: today, or tomorrow where that has passed. As
// with a date, they have to show it once that day.
func nextTimeOfDay(s string, now time.Time) (time.Time, error) {
	hour, minute, _ := timeOfDay(s)
	wall := time.Date(now.Year(), now.Month(), now.Day(), hour, minute, 0, 0, time.UTC)
	passed := hour*60+minute <= now.Hour()*60+now.Minute() // of one that they don't show today
	if shown := shownIn(now.Location(), wall); len(shown) > 0 {
		passed = !shown[len(shown)-1].After(now)
	}
	if passed {
		wall = wall.AddDate(0, 0, 1)
	}
	return onDate(wall, s, wall.Format(time.DateOnly)+" "+s, now.Location())
}

// Wait is a flag of the command line (pflag.Value) that holds a duration of zero or more, with days, up to maxWait.
type Wait struct{ D *time.Duration }

// maxWait is the longest that a command waits for what was let in earlier, or for other hosts.
const maxWait = 24 * time.Hour

func (w Wait) String() string {
	if w.D == nil { // pflag asks the zero value for its default
		return ""
	}
	return w.D.String()
}

// Type is part of pflag.Value.
func (w Wait) Type() string { return "duration" }

// Set is part of pflag.Value. The error wraps ErrRead.
func (w Wait) Set(s string) error {
	if s == "0" {
		*w.D = 0
		return nil
	}
	d, err := Duration(s)
	if err != nil || d < 0 || d > maxWait {
		return fmt.Errorf("%w: want a duration from 0 to %v, such as 30s", ErrRead, maxWait)
	}
	*w.D = d
	return nil
}
