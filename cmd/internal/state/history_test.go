package state

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/status"
)

func TestWindows(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 11, 22, 21, minute, 0, 0, time.UTC) }
	eta := func(minute int) *time.Time { m := at(minute); return &m }
	events := []Event{
		{At: at(0), From: status.Online, To: status.Offline, Outcome: Failed, Operator: "eve"},
		{At: at(1), From: status.Online, To: status.Offline, Outcome: Done, Operator: "ana", Reason: "upgrade", ExpectedUntil: eta(10)},
		{At: at(8), From: status.Offline, To: status.Offline, Outcome: Done, Operator: "ben", ExpectedUntil: eta(20)},
		{At: at(15), From: status.Offline, To: status.Admin, Outcome: Done, Operator: "ana", ExpectedUntil: eta(20)},
		{At: at(21), From: status.Admin, To: status.Online, Outcome: Failed, Operator: "ana"},
		{At: at(22), From: status.Admin, To: status.Online, Outcome: Done, Operator: "cyn"},
		{At: at(23), From: status.Online, To: status.Online, Outcome: Done, Operator: "cyn"},
		{At: at(30), From: status.Online, To: status.Offline, Outcome: Shut, Operator: "ana"},
	}
	ws := Windows(events)
	if len(ws) != 2 {
		t.Fatalf("got %d windows, want 2: %+v", len(ws), ws)
	}
	w := ws[0]
	if !w.From.Equal(at(1)) || w.Until == nil || !w.Until.Equal(at(22)) || w.ClosedBy != "ana" || w.OpenedBy != "cyn" || w.Reason != "upgrade" {
		t.Errorf("the first window is %+v", w)
	}
	if !w.FirstAnnounced.Equal(at(10)) || !w.LastAnnounced.Equal(at(20)) || w.LateSeconds == nil || *w.LateSeconds != 120 {
		t.Errorf("announced against actual is %+v", w)
	}
	if w := ws[1]; w.Until != nil || w.LateSeconds != nil || w.FirstAnnounced != nil {
		t.Errorf("the window that is open is %+v", w)
	}
}

// TestWindowBegins: a site is closed from when nginx was shut, not from the end of the closing. Earlier releases wrote
// down only that.
func TestWindowBegins(t *testing.T) {
	const event = `{"at":"2026-11-22T21:15:35Z","site":"demo","from":"online","to":"offline","outcome":"done"%s}` + "\n" +
		`{"at":"2026-11-22T21:20:00Z","site":"demo","from":"offline","to":"online","outcome":"done"}`
	for name, c := range map[string]struct{ more, want string }{
		"noted":                   {`,"closedAt":"2026-11-22T21:15:00Z"`, "2026-11-22T21:15:00Z"},
		"by an earlier release":   {"", "2026-11-22T21:15:35Z"},
		"a clock that was set":    {`,"closedAt":"2026-11-22T21:16:00Z"`, "2026-11-22T21:15:35Z"},
		"nginx was never seen so": {`,"closedAt":null`, "2026-11-22T21:15:35Z"},
	} {
		events, unreadable := parseHistory(fmt.Appendf(nil, event, c.more))
		if ws := Windows(events); unreadable > 0 || len(ws) != 1 || ws[0].From.Format(time.RFC3339) != c.want || ws[0].Until == nil {
			t.Errorf("%s: %d unreadable, %+v, want one from %s", name, unreadable, ws, c.want)
		}
	}
}

// A machine that loses power may leave half a line: the rest stays readable, and so does what comes after.
func TestHistoryCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	line := `{"at":"2026-11-22T21:15:00Z","site":"demo","from":"online","to":"offline","outcome":"done"}` + "\n"
	if err := os.WriteFile(path, []byte(line+line[:40]), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := appendLines(path, []byte(line), 0o644); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if events, unreadable := parseHistory(data); len(events) != 2 || unreadable != 1 {
		t.Errorf("got %d events and %d lines that can't be read, want 2 and 1:\n%s", len(events), unreadable, data)
	}
}

func FuzzHistory(f *testing.F) {
	f.Add([]byte(`{"at":"2026-11-22T21:15:00Z","site":"demo","from":"online","to":"offline","outcome":"done"}` + "\n{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		events, _ := parseHistory(data)
		if ws := Windows(events); len(ws) > len(events) {
			t.Errorf("%d windows of %d events", len(ws), len(events))
		}
	})
}
