package status

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

// scheduleExample is a schedule as it is published.
const scheduleExample = `{"version":1,"windows":[` +
	`{"id":"k3f9q2","sequence":2,"state":"scheduled","mode":"offline",` +
	`"from":"2026-12-05T21:00:00Z","until":"2026-12-05T22:00:00Z",` +
	`"message":"We are upgrading Conforma.","messages":{"pt":"Estamos a atualizar o Conforma."},` +
	`"updatedAt":"2026-11-22T21:15:00Z"},` +
	`{"id":"zz","sequence":0,"state":"completed","mode":"admin",` +
	`"from":"2026-12-06T21:00:00Z","until":"2026-12-06T21:00:00Z","message":null,"messages":null,` +
	`"updatedAt":"2026-12-06T21:15:00Z"}]}` + "\n"

func TestParseSchedule(t *testing.T) {
	s, err := ParseSchedule([]byte(scheduleExample))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(s.Marshal()); got != scheduleExample {
		t.Errorf("written:\n%s\nwant:\n%s", got, scheduleExample)
	}
	replace := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(scheduleExample) }
	for name, c := range map[string]struct {
		data string
		kind error
		says string
	}{
		"nothing":            {"", ErrSchedule, "unexpected end of JSON input"},
		"cut off":            {scheduleExample[:100], ErrSchedule, "unexpected end of JSON input"},
		"a page":             {"<html>", ErrSchedule, "invalid character"},
		"a list":             {"[]", ErrSchedule, "cannot unmarshal array"},
		"of somebody else's": {`{"windows":[]}`, ErrSchedule, "no version"},
		"no windows":         {`{"version":1}`, ErrSchedule, "no windows"},
		"windows are null":   {`{"version":1,"windows":null}`, ErrSchedule, "no windows"},
		"of the future":      {`{"version":2,"windows":{"new":"shape"}}`, ErrScheduleVersion, "unknown version of the schedule: 2"},
		"two documents":      {scheduleExample + scheduleExample, ErrSchedule, "invalid character"},
		"an unknown key":     {replace(`"sequence":2`, `"sequence":2,"colour":"red"`), ErrSchedule, `unknown field "colour"`},
		"an unknown state":   {replace(`"scheduled"`, `"perhaps"`), ErrSchedule, `window 1: state: "perhaps" is not one`},
		"an unknown mode":    {replace(`"offline"`, `"readonly"`), ErrSchedule, `window 1: mode: unknown mode "readonly"`},
		"an opening":         {replace(`"offline"`, `"online"`), ErrSchedule, `window 1: mode: "online" closes nothing`},
		"the same id twice":  {replace(`"zz"`, `"k3f9q2"`), ErrSchedule, `window 2: another has the id "k3f9q2"`},
		"an id of no use":    {replace(`"zz"`, `"../x"`), ErrSchedule, `window 2: id: "../x" is not one`},
		"no id":              {replace(`"id":"zz",`, ``), ErrSchedule, `window 2: id: "" is not one`},
		"ends as it begins":  {replace(`12-05T22:00`, `12-05T21:00`), ErrSchedule, "window 1: until is not after from"},
		"ends before":        {replace(`12-06T21:00:00Z","message"`, `12-05T21:00:00Z","message"`), ErrSchedule, "window 2: until is not after from"},
		"no times":           {replace(`"from":"2026-12-05T21:00:00Z",`, ``), ErrSchedule, "window 1: from is missing"},
		"not a time":         {replace(`2026-12-05T21:00:00Z`, `tomorrow`), ErrSchedule, `parsing time`},
		"beyond the years":   {replace(`2026-12-06T21:00:00Z","until"`, `0000-01-01T00:00:00+23:00","until"`), ErrSchedule, "can't be written"},
		"a negative number":  {replace(`"sequence":2`, `"sequence":-2`), ErrSchedule, "cannot unmarshal number -2"},
		"an empty message":   {replace(`We are upgrading Conforma.`, ``), ErrSchedule, "window 1: message: is empty"},
		"not a language":     {replace(`"pt"`, `"p"`), ErrSchedule, `window 1: messages: "p" is not a language tag`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseSchedule([]byte(c.data))
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %v with %q", err, c.kind, c.says)
			}
		})
	}
}

// TestScheduleChanges: each change of a window in each of its states, what becomes of it, and that its sequence grows.
func TestScheduleChanges(t *testing.T) {
	now := time.Date(2026, 12, 5, 20, 0, 0, 0, time.UTC)
	from, until := now.Add(time.Hour), now.Add(2*time.Hour)
	in := func(state WindowState) Schedule {
		return Schedule{Version: 1, Windows: []ScheduledWindow{
			{ID: "w", Sequence: 7, State: state, Mode: Offline, From: from, Until: until, UpdatedAt: now},
		}}
	}
	changes := map[string]func(Schedule) (Schedule, error){
		"move":     func(s Schedule) (Schedule, error) { return s.Move("w", Moved{Until: ptr(until.Add(time.Minute))}, now) },
		"cancel":   func(s Schedule) (Schedule, error) { return s.Cancel("w", now) },
		"begin":    func(s Schedule) (Schedule, error) { return s.Begin("w", now) },
		"extend":   func(s Schedule) (Schedule, error) { return s.Extend("w", until.Add(time.Minute), now) },
		"complete": func(s Schedule) (Schedule, error) { return s.Complete("w", from.Add(time.Second), until, now) },
		"miss":     func(s Schedule) (Schedule, error) { return s.Miss("w", now) },
	}
	become := map[WindowState]map[string]WindowState{
		WindowScheduled:  {"move": WindowScheduled, "cancel": WindowCancelled, "begin": WindowInProgress, "miss": WindowMissed},
		WindowInProgress: {"extend": WindowInProgress, "complete": WindowCompleted, "miss": WindowMissed},
		WindowMissed:     {"move": WindowScheduled, "cancel": WindowCancelled},
		WindowCancelled:  {},
		WindowCompleted:  {},
	}
	for state, allowed := range become {
		for name, change := range changes {
			was := in(state)
			before := string(was.Marshal())
			got, err := change(was)
			want, ok := allowed[name]
			if string(was.Marshal()) != before {
				t.Errorf("%s of a %s window has changed the schedule that it was given", name, state)
			}
			if !ok {
				if !errors.Is(err, ErrWindowState) || !strings.Contains(err.Error(), name+" window w: ") || !strings.Contains(err.Error(), string(state)) {
					t.Errorf("%s of a %s window: %v", name, state, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s of a %s window: %v", name, state, err)
				continue
			}
			if w, _ := got.Window("w"); w.State != want || w.Sequence != 8 {
				t.Errorf("%s of a %s window makes it %s with sequence %d, want %s with 8", name, state, w.State, w.Sequence, want)
			}
			if _, err := ParseSchedule(got.Marshal()); err != nil {
				t.Errorf("%s of a %s window: %v", name, state, err)
			}
		}
	}
	for name, change := range changes {
		if _, err := change(EmptySchedule()); !errors.Is(err, ErrNoWindow) {
			t.Errorf("%s where there is no window: %v", name, err)
		}
	}
}

func TestScheduleMove(t *testing.T) {
	now := time.Date(2026, 12, 5, 20, 0, 0, 0, time.UTC)
	s, err := EmptySchedule().Add(ScheduledWindow{ID: "w", Mode: Offline, From: now.Add(time.Hour), Until: now.Add(2 * time.Hour), Message: ptr("We upgrade.")}, now)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = s.Move("w", Moved{From: ptr(now.Add(90 * time.Minute))}, now); err != nil {
		t.Fatal(err)
	}
	if w, _ := s.Window("w"); w.Mode != Offline || !w.From.Equal(now.Add(90*time.Minute)) || *w.Message != "We upgrade." || w.Sequence != 1 {
		t.Errorf("moved: %+v", w)
	}
	if _, err := s.Move("w", Moved{Until: ptr(now.Add(time.Minute))}, now); err == nil || !strings.Contains(err.Error(), "until is not after from") {
		t.Errorf("moved to end before it begins: %v", err)
	}
	if s, err = s.Move("w", Moved{Words: true, Messages: map[string]string{"fr": "Mise à jour."}}, now); err != nil {
		t.Fatal(err)
	}
	if w, _ := s.Window("w"); w.Message != nil || w.Messages["fr"] != "Mise à jour." {
		t.Errorf("other words: %+v", w)
	}
}

func TestScheduleOverlap(t *testing.T) {
	now := time.Date(2026, 12, 5, 20, 0, 0, 0, time.UTC)
	at := func(id string, from, until int) ScheduledWindow {
		return ScheduledWindow{ID: id, Mode: Offline, From: now.Add(time.Duration(from) * time.Hour), Until: now.Add(time.Duration(until) * time.Hour)}
	}
	s, err := EmptySchedule().Add(at("a", 2, 4), now)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		w    ScheduledWindow
		says string // "" where it fits
	}{
		"before":         {at("b", 1, 2), ""},
		"after":          {at("b", 4, 5), ""},
		"the same":       {at("b", 2, 4), "a, from 2026-12-05T22:00:00Z until 2026-12-06T00:00:00Z"},
		"the same id":    {at("a", 5, 6), `another has the id "a"`},
		"within":         {at("b", 3, 4), "another window at that time"},
		"around":         {at("b", 1, 5), "another window at that time"},
		"over its start": {at("b", 1, 3), "another window at that time"},
		"over its end":   {at("b", 3, 5), "another window at that time"},
		"backwards":      {at("b", 6, 5), "until is not after from"},
		"of no length":   {at("b", 6, 6), "until is not after from"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.Add(c.w, now)
			if c.says == "" && (err != nil || len(got.Windows) != 2) || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
	if s, err = s.Add(at("b", 4, 5), now); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Move("b", Moved{From: ptr(now.Add(3 * time.Hour))}, now); !errors.Is(err, ErrOverlap) {
		t.Errorf("moved over another: %v", err)
	}
	if s, err = s.Cancel("a", now); err != nil {
		t.Fatal(err)
	}
	if s, err = s.Move("b", Moved{From: ptr(now.Add(3 * time.Hour))}, now); err != nil {
		t.Errorf("moved over one that is cancelled: %v", err)
	}
	if next := s.Next(); next == nil || !next.From.Equal(now.Add(3*time.Hour)) || !next.Until.Equal(now.Add(5*time.Hour)) {
		t.Errorf("next is %+v", next)
	}
	if next := EmptySchedule().Next(); next != nil {
		t.Errorf("next of none is %+v", next)
	}
}

// TestScheduleForgets: what was over long ago is left out by the next change, and what may still come is not.
func TestScheduleForgets(t *testing.T) {
	now := time.Date(2026, 12, 5, 20, 0, 0, 0, time.UTC)
	s := EmptySchedule()
	for i, state := range []WindowState{WindowScheduled, WindowInProgress, WindowCompleted, WindowCancelled, WindowMissed} {
		for name, age := range map[string]time.Duration{"young": KeptFor, "old": KeptFor + time.Second} {
			from := now.Add(time.Duration(i*100) * time.Hour)
			s.Windows = append(s.Windows, ScheduledWindow{
				ID: name + string(rune('a'+i)), State: state, Mode: Offline, From: from, Until: from.Add(time.Hour), UpdatedAt: now.Add(-age),
			})
		}
	}
	s.Windows[0].From = s.Windows[0].From.Add(-time.Hour) // it and its twin follow each other
	s.Windows[0].Until = s.Windows[0].Until.Add(-time.Hour)
	s, err := s.Move("olde", Moved{From: ptr(now.Add(900 * time.Hour)), Until: ptr(now.Add(901 * time.Hour))}, now)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, w := range s.Windows {
		ids = append(ids, w.ID)
	}
	for _, id := range []string{"younga", "olda", "youngb", "oldb", "youngc", "youngd", "younge", "olde"} {
		if _, ok := s.Window(id); !ok {
			t.Errorf("%s is gone: %q", id, ids)
		}
	}
	if len(ids) != 8 {
		t.Errorf("left are %q", ids)
	}
}

func TestDue(t *testing.T) {
	from := time.Date(2026, 12, 5, 21, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		after, length  time.Duration
		begins, missed bool
	}{
		"long before":                 {-time.Hour, time.Hour, false, false},
		"just before":                 {-time.Nanosecond, time.Hour, false, false},
		"at its time":                 {0, time.Hour, true, false},
		"a quarter of an hour later":  {LateBy, time.Hour, true, false},
		"and a moment":                {LateBy + time.Nanosecond, time.Hour, false, true},
		"short, just before its end":  {9*time.Minute + 59*time.Second, 10 * time.Minute, true, false},
		"short, at its end":           {10 * time.Minute, 10 * time.Minute, false, true},
		"the next day":                {24 * time.Hour, time.Hour, false, true},
		"the next day, it goes on so": {24 * time.Hour, 72 * time.Hour, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := ScheduledWindow{From: from, Until: from.Add(c.length)}
			if begins, missed := w.Due(from.Add(c.after)); begins != c.begins || missed != c.missed {
				t.Errorf("begins %v, missed %v, want %v and %v", begins, missed, c.begins, c.missed)
			}
		})
	}
}

// What parses says the same after it was written and read again, and writes the same bytes then.
func FuzzParseSchedule(f *testing.F) {
	f.Add([]byte(scheduleExample))
	f.Add(EmptySchedule().Marshal())
	f.Add([]byte(`{"version":1,"version":2,"Windows":[{"id":"a","sequence":1e3}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseSchedule(data)
		if err != nil {
			return
		}
		written := s.Marshal()
		again, err := ParseSchedule(written)
		if err != nil {
			t.Fatalf("what Marshal wrote does not parse: %v\n%s", err, written)
		}
		if !bytes.Equal(again.Marshal(), written) {
			t.Errorf("changed on the way:\n%s\n%s", written, again.Marshal())
		}
	})
}
