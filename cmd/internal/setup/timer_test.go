package setup

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTimer: what systemd is told, in which order, and what the unit says then.
func TestTimer(t *testing.T) {
	one := time.Date(2027, 3, 28, 2, 30, 0, 0, time.FixedZone("CEST", 2*60*60))
	two := time.Date(2027, 3, 27, 20, 0, 0, 0, time.UTC)
	var asked []string
	fails := ""
	timer := Timer{Dir: t.TempDir(), Systemctl: func(_ context.Context, args ...string) error {
		asked = append(asked, args[0])
		if args[0] == fails {
			return errors.New("made up")
		}
		return nil
	}}
	path := filepath.Join(timer.Dir, WindowTimer)
	for _, step := range []struct {
		what    string
		fails   string
		moments []time.Time
		asked   string
		says    string // what is wrong, "" for nothing
	}{
		{"nothing is scheduled", "", nil, "", ""},
		{"two windows of three sites", "", []time.Time{one, two, one}, "daemon-reload restart", ""},
		{"the same again", "", []time.Time{two, one}, "is-active", ""},
		{"somebody has stopped it", "is-active", []time.Time{two, one}, "is-active daemon-reload restart", ""},
		{"one is moved, and systemd is dead", "daemon-reload", []time.Time{one}, "daemon-reload", "set the timer of the next window: made up"},
		{"tried again", "is-active", []time.Time{one}, "is-active daemon-reload restart", ""},
		{"all are cancelled", "", nil, "stop daemon-reload", ""},
		{"and again", "", nil, "", ""},
	} {
		asked, fails = nil, step.fails
		err := timer.Set(t.Context(), step.moments)
		if got := strings.Join(asked, " "); got != step.asked {
			t.Errorf("%s: systemctl %q, want %q", step.what, got, step.asked)
		}
		if (err == nil) != (step.says == "") || err != nil && err.Error() != step.says {
			t.Errorf("%s: %v, want %q", step.what, err, step.says)
		}
		data, err := os.ReadFile(path)
		if len(step.moments) == 0 {
			if !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: the unit is still there: %s", step.what, data)
			}
			continue
		}
		var lines []string
		for line := range strings.Lines(string(data)) {
			if strings.HasPrefix(line, "OnCalendar=") {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
		want := []string{"OnCalendar=2027-03-28 00:30:00 UTC"}
		if len(step.moments) > 1 {
			want = []string{"OnCalendar=2027-03-27 20:00:00 UTC", want[0]}
		}
		if !slices.Equal(lines, want) || !strings.Contains(string(data), "AccuracySec=1s\nPersistent=false\nUnit=conforma-status-reconcile.service\n") {
			t.Errorf("%s: the unit is\n%s", step.what, data)
		}
	}
}
