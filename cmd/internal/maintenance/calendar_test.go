package maintenance

import (
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/status"
)

// TestPublishCalendar: what lies in the store, or comes in between, and what is there then.
func TestPublishCalendar(t *testing.T) {
	const key, ofSchedule = "demo/maintenance.ics", "demo/schedule.json"
	for name, c := range map[string]struct {
		there func(*world)
		says  string // the error, "" for none
		put   bool
		has   string // what is in the calendar then, "" where there is none
	}{
		"no schedule":  {func(w *world) { delete(w.docs, ofSchedule) }, "", false, ""},
		"no calendar":  {func(*world) {}, "", true, "UID:one.demo@"},
		"an older one": {func(w *world) { w.docs[key] = []byte("BEGIN:VCALENDAR") }, "", true, "UID:one.demo@"},
		"the same":     {func(w *world) { _, _, _ = w.PublishCalendar(t.Context(), w.site) }, "", false, "UID:one.demo@"},
		"somebody else": {func(w *world) {
			w.between = func() {
				w.docs[ofSchedule] = w.schedule(t, w.window("two", 3*time.Hour))
				w.docs[key] = calendarOf(w.site, mustSchedule(t, w.docs[ofSchedule]))
			}
		}, "", false, "UID:two.demo@"},
		"a schedule from the future": {func(w *world) { w.docs[ofSchedule] = []byte(`{"version":2,"windows":[]}`) }, "unknown version of the schedule", false, ""},
		"a schedule that is cut off": {func(w *world) { w.docs[ofSchedule] = w.docs[ofSchedule][:40] }, "read demo/schedule.json", false, ""},
		"the store is down":          {func(w *world) { w.storeErr = errDown }, "store unavailable", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.docs[ofSchedule] = w.schedule(t, w.window("one", time.Hour))
			c.there(w)
			data, put, err := w.PublishCalendar(t.Context(), w.site)
			if put != c.put || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("put %v, error %v, want %v, %q", put, err, c.put, c.says)
			}
			if got := string(w.docs[key]); !strings.Contains(got, c.has) || c.has == "" && got != "" || err == nil && string(data) != got {
				t.Errorf("in the store is %q, it says %q", got, data)
			}
		})
	}
}

func mustSchedule(t *testing.T, data []byte) status.Schedule {
	t.Helper()
	s, err := status.ParseSchedule(data)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
