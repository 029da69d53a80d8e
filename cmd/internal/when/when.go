package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/xhit/go-str2duration/v2"
)

var (
	errWhen = errors.New("can't read the time")
	errPast = errors.New("the time is in the past")
)

// maxAhead is how far ahead an ETA may lie; beyond it is a slip of the keyboard.
const maxAhead = 366 * 24 * time.Hour

// parseWhen reads a point in time after now: a duration ("30m", "30min", "1h30m", "1d"), a time of day ("18:30",
// "6:30pm", the next one in now's time zone), a date and time in that zone ("2026-12-01 18:30") or RFC 3339. The error
// wraps errWhen or errPast.
func parseWhen(s string, now time.Time) (time.Time, error) {
	t, err := readWhen(strings.TrimSpace(s), now)
	if err != nil {
		return time.Time{}, err
	}
	t = t.UTC().Truncate(time.Second) // before it is compared: what is left of "1ms" is now
	if !t.After(now) {
		return time.Time{}, fmt.Errorf("%w: %q", errPast, s)
	}
	if t.Sub(now) > maxAhead {
		return time.Time{}, fmt.Errorf("%w: %q is more than a year ahead", errWhen, s)
	}
	return t, nil
}

func readWhen(s string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	if hour, minute, ok := timeOfDay(s); ok {
		return nextTimeOfDay(hour, minute, now), nil
	}
	if date, clock, found := strings.Cut(s, " "); found {
		if day, err := time.Parse(time.DateOnly, date); err == nil {
			return onDate(day, strings.TrimSpace(clock), s, now.Location())
		}
	}
	d, err := parseDuration(s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %q", errWhen, s)
	}
	if d <= 0 {
		return time.Time{}, fmt.Errorf("%w: %q", errPast, s)
	}
	return now.Add(d), nil
}

// minutes are written like this too.
var minutes = regexp.MustCompile(`([0-9])mins?($|[0-9])`)

// parseDuration reads a duration with days and weeks.
func parseDuration(s string) (time.Duration, error) {
	if s == "" {
		return 0, errWhen
	}
	return str2duration.ParseDuration(minutes.ReplaceAllString(s, "${1}m$2"))
}

// timeOfDay reads "18:30", "6:30pm" and "6pm".
func timeOfDay(s string) (hour, minute int, ok bool) {
	for _, layout := range []string{"15:04", "3:04pm", "3:04 pm", "3pm", "3 pm"} {
		if t, err := time.Parse(layout, strings.ToLower(s)); err == nil {
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
		return time.Time{}, fmt.Errorf("%w: %q", errWhen, said)
	}
	wall := time.Date(day.Year(), day.Month(), day.Day(), hour, minute, 0, 0, time.UTC)
	var shown []time.Time
	for _, offset := range offsets(wall, zone) {
		t := wall.Add(-offset).In(zone)
		if t.Format(time.DateTime) == wall.Format(time.DateTime) {
			shown = append(shown, t)
		}
	}
	switch len(shown) {
	case 0:
		return time.Time{}, fmt.Errorf("%w: clocks here never show %q: they are put forward then", errWhen, said)
	case 1:
		return shown[0], nil
	}
	return time.Time{}, fmt.Errorf("%w: clocks here show %q twice: say which with its offset, %s or %s",
		errWhen, said, shown[0].Format(time.RFC3339), shown[1].Format(time.RFC3339))
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

// laterDay reports whether s is a time of day that has passed today, so that t is on another day.
func laterDay(s string, t, now time.Time) bool {
	_, _, ok := timeOfDay(strings.TrimSpace(s))
	return ok && t.In(now.Location()).Format(time.DateOnly) != now.Format(time.DateOnly)
}

// nextTimeOfDay is when clocks in now's time zone next show hour and minute. It goes from minute to minute because on
// a day when they are put back or forward they show some times twice, and others not at all.
func nextTimeOfDay(hour, minute int, now time.Time) time.Time {
	t := now.Truncate(time.Minute).Add(time.Minute)
	for t.Hour() != hour || t.Minute() != minute {
		t = t.Add(time.Minute)
	}
	return t
}

// wait is a flag that holds a duration of zero or more, with days.
type wait struct{ d *time.Duration }

func (w wait) String() string {
	if w.d == nil {
		return ""
	}
	return w.d.String()
}

func (w wait) Type() string { return "duration" }

// Set is part of pflag.Value.
func (w wait) Set(s string) error {
	if s == "0" {
		*w.d = 0
		return nil
	}
	d, err := parseDuration(s)
	if err != nil || d < 0 || d > maxDrain {
		return fmt.Errorf("%w: want a duration from 0 to %v, such as 30s", errWhen, maxDrain)
	}
	*w.d = d
	return nil
}

// maxDrain is the longest wait for what was let in earlier.
const maxDrain = 24 * time.Hour
