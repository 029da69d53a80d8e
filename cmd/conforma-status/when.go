package main

import (
	"errors"
	"fmt"
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

// parseWhen reads a point in time after now: a duration ("30m", "1h30m", "1d"), a time of day ("18:30", the next one
// in now's time zone) or RFC 3339. The error wraps errWhen or errPast.
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
	if t, err := time.Parse("15:04", s); err == nil {
		return nextTimeOfDay(t.Hour(), t.Minute(), now), nil
	}
	d, err := str2duration.ParseDuration(s)
	if err != nil || s == "" {
		return time.Time{}, fmt.Errorf("%w: %q", errWhen, s)
	}
	if d <= 0 {
		return time.Time{}, fmt.Errorf("%w: %q", errPast, s)
	}
	return now.Add(d), nil
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
	d, err := str2duration.ParseDuration(s)
	if err != nil || s == "" || d < 0 || d > maxDrain {
		return fmt.Errorf("%w: want a duration from 0 to %v, such as 30s", errWhen, maxDrain)
	}
	*w.d = d
	return nil
}

// maxDrain is the longest wait for what was let in earlier.
const maxDrain = 24 * time.Hour
