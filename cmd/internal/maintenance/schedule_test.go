package maintenance

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/status"
)

// window is one of the site's that begins in so long and takes an hour.
func (w *world) window(id string, in time.Duration) status.ScheduledWindow {
	from := w.now.Add(in)
	return status.ScheduledWindow{ID: id, Mode: status.Offline, From: from, Until: from.Add(time.Hour)}
}

// TestChangeSchedule: what lies in the store before a window is added, or comes in between, and what is there then.
func TestChangeSchedule(t *testing.T) {
	const key = "demo/schedule.json"
	for name, c := range map[string]struct {
		there func(*world)
		says  string // the error, "" for none
		ids   string // what is in the store afterwards
	}{
		"nothing there": {func(*world) {}, "", "new"},
		"another":       {func(w *world) { w.docs[key] = w.schedule(t, w.window("old", 3*time.Hour)) }, "", "new old"},
		"one in between": {func(w *world) {
			w.between = func() { w.docs[key] = w.schedule(t, w.window("old", 3*time.Hour)) }
		}, "", "new old"},
		"one at that time in between": {func(w *world) {
			w.between = func() { w.docs[key] = w.schedule(t, w.window("old", 90*time.Minute)) }
		}, "another window at that time", ""},
		"the future":         {func(w *world) { w.docs[key] = []byte(`{"version":2,"windows":[]}`) }, "unknown version of the schedule: 2", ""},
		"cut off":            {func(w *world) { w.docs[key] = w.schedule(t, w.window("old", 3*time.Hour))[:50] }, "read demo/schedule.json: parse the schedule: not a schedule", ""},
		"of somebody else's": {func(w *world) { w.docs[key] = []byte(`{"events":[]}`) }, "not a schedule: no version", ""},
		"an empty file":      {func(w *world) { w.docs[key] = []byte{} }, "not a schedule", ""},
		"the store is down":  {func(w *world) { w.storeErr = errDown }, "store unavailable", ""},
		"for ever somebody in between": {func(w *world) {
			at := 3 * time.Hour
			w.moment = func(what string) {
				if what == "put" {
					at += time.Minute
					w.docs[key] = w.schedule(t, w.window("old", at))
				}
			}
		}, "publish demo/schedule.json: somebody else changes it at the same time", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.there(w)
			got, err := w.changeSchedule(t.Context(), w.site, func(s status.Schedule) (status.Schedule, error) {
				return s.Add(w.window("new", time.Hour), w.now)
			})
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("error %v, want %q", err, c.says)
				}
				if strings.Contains(string(w.docs[key]), "new") {
					t.Errorf("in the store is %s", w.docs[key])
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, one := range got.Windows {
				ids = append(ids, one.ID)
			}
			if strings.Join(ids, " ") != c.ids || string(got.Marshal()) != string(w.docs[key]) {
				t.Errorf("got %q, in the store is %s", ids, w.docs[key])
			}
		})
	}
	w := newWorld(t)
	failed := errors.New("made up")
	if _, err := w.changeSchedule(t.Context(), w.site, func(s status.Schedule) (status.Schedule, error) { return s, failed }); err != failed || len(w.docs) > 0 {
		t.Errorf("a change that fails: %v, in the store is %q", err, w.docs)
	}
}

// schedule is one with these windows, as it is published.
func (w *world) schedule(tb testing.TB, windows ...status.ScheduledWindow) []byte {
	tb.Helper()
	s := status.EmptySchedule()
	for _, one := range windows {
		var err error
		if s, err = s.Add(one, w.now); err != nil {
			tb.Fatal(err)
		}
	}
	return s.Marshal()
}
