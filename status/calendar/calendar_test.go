package calendar

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/msupply-foundation/conforma-status/status"
)

var (
	at   = time.Date(2026, 12, 5, 22, 0, 0, 0, time.UTC)
	demo = Site{Name: "demo", Title: "demo.example.org", PageURL: "https://maintenance.example.org/demo/"}
)

func text(s string) *string { return &s }

func window(id string, state status.WindowState, sequence uint64, words string) status.ScheduledWindow {
	w := status.ScheduledWindow{ID: id, State: state, Sequence: sequence, Mode: status.Offline, From: at, Until: at.Add(time.Hour), UpdatedAt: at.Add(-24 * time.Hour)}
	if words != "" {
		w.Message = text(words)
	}
	return w
}

// TestOf has the whole of a calendar, as it is written.
func TestOf(t *testing.T) {
	w := window("w1", status.WindowScheduled, 2, "One, two; \\three\nfour")
	w.Messages = map[string]string{"pt": "Uma atualização", "lo": "ພວກເຮົາ"}
	s := status.Schedule{Version: 1, Windows: []status.ScheduledWindow{w}}
	want := strings.Join([]string{
		"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//mSupply Foundation//conforma-status//EN", "METHOD:PUBLISH",
		"NAME:Maintenance: demo.example.org", "X-WR-CALNAME:Maintenance: demo.example.org", "REFRESH-INTERVAL;VALUE=DURATION:PT1H", "X-PUBLISHED-TTL:PT1H",
		"BEGIN:VEVENT", "UID:w1.demo@conforma-status", "SEQUENCE:2", "DTSTAMP:20261204T220000Z", "LAST-MODIFIED:20261204T220000Z",
		"ORGANIZER:https://maintenance.example.org/demo/",
		"DTSTART:20261205T220000Z", "DTEND:20261205T230000Z", "SUMMARY:Maintenance: demo.example.org",
		`DESCRIPTION:One\, two\; \\three\nfour\n\nພວກເຮົາ\n\nUma`, `  atualização\n\nhttps://maintenance.example.org/demo/`,
		"URL:https://maintenance.example.org/demo/", "TRANSP:TRANSPARENT", "STATUS:CONFIRMED", "END:VEVENT", "END:VCALENDAR", "",
	}, "\r\n")
	if got := string(Of(s, demo)); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

func TestStates(t *testing.T) {
	for state, want := range map[status.WindowState]string{
		status.WindowScheduled: "CONFIRMED", status.WindowInProgress: "CONFIRMED", status.WindowCompleted: "CONFIRMED",
		status.WindowCancelled: "CANCELLED", status.WindowMissed: "CANCELLED",
	} {
		got := string(Of(status.Schedule{Version: 1, Windows: []status.ScheduledWindow{window("w", state, 7, "")}}, demo))
		if !strings.Contains(got, "\r\nSTATUS:"+want+"\r\n") || !strings.Contains(got, "\r\nSEQUENCE:7\r\n") {
			t.Errorf("%s: %s", state, got)
		}
	}
	if got := string(Of(status.EmptySchedule(), demo)); !strings.HasPrefix(got, "BEGIN:VCALENDAR\r\n") || strings.Contains(got, "VEVENT") {
		t.Errorf("without a window: %s", got)
	}
}

// wrong says what is wrong with the lines of a calendar: RFC 5545, section 3.1.
func wrong(calendar string) string {
	if !strings.HasSuffix(calendar, "\r\n") || strings.ContainsAny(strings.ReplaceAll(calendar, "\r\n", ""), "\r\n") {
		return "lines don't end in CRLF"
	}
	for line := range strings.SplitSeq(calendar, "\r\n") {
		if len(line) > 75 {
			return "a line has more than 75 octets: " + line
		}
		if !utf8.ValidString(line) {
			return "a line ends within a character: " + line
		}
	}
	return ""
}

// Words of any script, of any length, in lines of at most 75 octets.
func TestLines(t *testing.T) {
	for _, words := range []string{"ພວກເຮົາກຳລັງປັບປຸງລະບົບ", "👩‍👩‍👧‍👦🏳️‍🌈", "a", "ab cd ", "<b> & ", ",;\\", "é", "\t", "\n", "א"} {
		for before := range 80 {
			long := strings.Repeat("x", before) + strings.Repeat(words, 60)
			if says := wrong(string(Of(status.Schedule{Version: 1, Windows: []status.ScheduledWindow{window("w", status.WindowScheduled, 0, long)}}, demo))); says != "" {
				t.Fatalf("%q after %d: %s", words, before, says)
			}
		}
	}
}

// required are what RFC 5546, section 3.2.1, wants once in each event that is published.
var required = []string{"DTSTAMP", "DTSTART", "ORGANIZER", "SUMMARY", "UID", "SEQUENCE"}

// TestRequired: a long address is folded, and what would be escaped in a text is not in a URI.
func TestRequired(t *testing.T) {
	site := demo
	site.PageURL = "https://maintenance.example.org/" + strings.Repeat("a,b;c/", 20)
	for _, state := range []status.WindowState{status.WindowScheduled, status.WindowCancelled, status.WindowMissed} {
		got := string(Of(status.Schedule{Version: 1, Windows: []status.ScheduledWindow{window("w", state, 0, "")}}, site))
		if says := wrong(got); says != "" {
			t.Error(says)
		}
		whole := strings.ReplaceAll(got, "\r\n ", "")
		for _, name := range required {
			if strings.Count(whole, "\r\n"+name+":") != 1 {
				t.Errorf("%s: it has not one %s: %s", state, name, whole)
			}
		}
		if !strings.Contains(whole, "\r\nORGANIZER:"+site.PageURL+"\r\n") {
			t.Errorf("%s: the organizer is not the page: %s", state, whole)
		}
	}
}

func FuzzOf(f *testing.F) {
	f.Add("a, b; c\\n\td", "ພວກ", "demo.example.org")
	f.Fuzz(func(t *testing.T, words, other, title string) {
		w := window("w", status.WindowScheduled, 0, words)
		w.Messages = map[string]string{"lo": other}
		if w.Validate() != nil || strings.ContainsAny(title, "\r\n") || !utf8.ValidString(title) {
			t.Skip()
		}
		got := string(Of(status.Schedule{Version: 1, Windows: []status.ScheduledWindow{w}}, Site{Name: "demo", Title: title, PageURL: demo.PageURL}))
		if says := wrong(got); says != "" {
			t.Error(says)
		}
		if n := strings.Count(got, "\r\nEND:"); n != 2 {
			t.Errorf("%d parts end in it: %s", n, got)
		}
	})
}
