package publishing

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	ical "github.com/emersion/go-ical"

	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/calendar"
)

// windows are of every state, with words that are hard to write in a calendar.
func windows() (s status.Schedule) {
	s = status.EmptySchedule()
	from := time.Date(2026, 12, 5, 22, 0, 0, 0, time.UTC)
	for i, state := range []status.WindowState{status.WindowScheduled, status.WindowInProgress, status.WindowCompleted, status.WindowCancelled, status.WindowMissed} {
		words := []string{
			strings.Repeat("ພວກເຮົາກຳລັງປັບປຸງລະບົບ ", 12), strings.Repeat("👩‍👩‍👧‍👦🏳️‍🌈", 30), "a, b; c \\ d\nnext line\tafter a tab: \"quoted\"",
			"END:VEVENT\nBEGIN:VEVENT", "Atualização; até já",
		}[i]
		s.Windows = append(s.Windows, status.ScheduledWindow{
			ID: fmt.Sprintf("w%d", i), Sequence: uint64(i * 3), State: state, Mode: status.Offline,
			From: from.AddDate(0, 0, i), Until: from.AddDate(0, 0, i).Add(time.Hour), Message: &words, UpdatedAt: from.Add(-time.Hour),
		})
	}
	return s
}

const calendarPage = "https://maintenance.example.org/demo/"

func calendarOf(s status.Schedule) []byte {
	return calendar.Of(s, calendar.Site{Name: "demo", Title: "demo.example.org", PageURL: calendarPage})
}

// events are what a program has to find in the calendar, a line each.
func events(s status.Schedule) (lines []string) {
	const utc = "2006-01-02T15:04:05Z"
	for _, w := range s.Windows {
		is := "CONFIRMED"
		if w.State == status.WindowCancelled || w.State == status.WindowMissed {
			is = "CANCELLED"
		}
		lines = append(lines, fmt.Sprintf("%s.demo@conforma-status %d %s %s %s %q", w.ID, w.Sequence, is, w.From.Format(utc), w.Until.Format(utc), *w.Message+"\n\n"+calendarPage))
	}
	return lines
}

// TestCalendarReadBack has another library read the calendar.
func TestCalendarReadBack(t *testing.T) {
	t.Parallel()
	s := windows()
	c, err := ical.NewDecoder(bytes.NewReader(calendarOf(s))).Decode()
	if err != nil {
		t.Fatal(err)
	}
	if method, _ := c.Props.Text(ical.PropMethod); method != "PUBLISH" {
		t.Errorf("METHOD:%s", method)
	}
	var got []string
	for _, e := range c.Events() {
		text := func(name string) string {
			p := e.Props.Get(name)
			v, err := p.Text()
			if err != nil {
				t.Error(err)
			}
			return v
		}
		if by := e.Props.Get(ical.PropOrganizer).Value; by != calendarPage {
			t.Errorf("the organizer is %s, want %s", by, calendarPage)
		}
		from, errFrom := e.DateTimeStart(time.UTC)
		until, errUntil := e.DateTimeEnd(time.UTC)
		if errFrom != nil || errUntil != nil {
			t.Error(errFrom, errUntil)
		}
		got = append(got, fmt.Sprintf("%s %s %s %s %s %q", text(ical.PropUID), e.Props.Get(ical.PropSequence).Value, e.Props.Get(ical.PropStatus).Value,
			from.Format(time.RFC3339), until.Format(time.RFC3339), text(ical.PropDescription)))
	}
	if got, want := strings.Join(got, "\n"), strings.Join(events(s), "\n"); got != want {
		t.Errorf("it reads\n%s\nwant\n%s", got, want)
	}
}
