package status

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"
	"time"
)

// ScheduleFileName is the name of the schedule, beside status.json.
const ScheduleFileName = "schedule.json"

// ScheduleVersion is the version of the schedule that this package reads and writes.
const ScheduleVersion = 1

// KeptFor is how long a window that is over, cancelled or missed stays in the schedule after its last change:
// calendars that subscribe to it have to hear of it.
const KeptFor = 30 * 24 * time.Hour

// LateBy is how late a window may begin at most. After that, or after its end, it is missed.
const LateBy = 15 * time.Minute

var (
	// ErrSchedule is returned (wrapped) by ParseSchedule for what is not a schedule.
	ErrSchedule = errors.New("not a schedule")
	// ErrScheduleVersion is returned (wrapped) by ParseSchedule for a schedule of a version that this package doesn't
	// know.
	ErrScheduleVersion = errors.New("unknown version of the schedule")
	// ErrOverlap is returned (wrapped) where a window would be at the time of another.
	ErrOverlap = errors.New("there is another window at that time")
	// ErrNoWindow is returned (wrapped) where the schedule has no window of an id.
	ErrNoWindow = errors.New("there is no such window")
	// ErrWindowState is returned (wrapped) where a window's state doesn't allow the change.
	ErrWindowState = errors.New("the window's state does not allow it")
)

// WindowState is what has become of a window.
type WindowState string

// The states of a window. From WindowScheduled it goes to WindowInProgress once, and from there to WindowCompleted.
const (
	WindowScheduled  WindowState = "scheduled"
	WindowInProgress WindowState = "in_progress"
	WindowCompleted  WindowState = "completed"
	WindowCancelled  WindowState = "cancelled"
	WindowMissed     WindowState = "missed"
)

// Over reports whether nothing more comes of a window by itself.
func (s WindowState) Over() bool { return s != WindowScheduled && s != WindowInProgress }

func (s WindowState) known() bool {
	return slices.Contains([]WindowState{WindowScheduled, WindowInProgress, WindowCompleted, WindowCancelled, WindowMissed}, s)
}

// Schedule is what schedule.json says about one site: its maintenance windows, the earliest first. A change returns a
// new one and leaves the old alone.
type Schedule struct {
	Version int               `json:"version"` // always ScheduleVersion
	Windows []ScheduledWindow `json:"windows"`
}

// ScheduledWindow is one maintenance window. All times are UTC with a resolution of a second.
type ScheduledWindow struct {
	// ID is the window's own in this schedule. Windows of several sites that were scheduled by one command share it.
	ID string `json:"id"`
	// Sequence grows with each change of the window: SEQUENCE of RFC 5545, section 3.8.7.4.
	Sequence uint64      `json:"sequence"`
	State    WindowState `json:"state"`
	Mode     Mode        `json:"mode"` // what the site is in during the window, never Online
	// From and Until are the announced times, and the true ones once it is completed.
	From      time.Time         `json:"from"`
	Until     time.Time         `json:"until"`
	Message   *string           `json:"message"`  // plain text in the site's main language, nil when there is none
	Messages  map[string]string `json:"messages"` // in other languages, by BCP 47 tag; nil when there are none
	UpdatedAt time.Time         `json:"updatedAt"`
}

// EmptySchedule is the schedule of a site that has none yet.
func EmptySchedule() Schedule {
	return Schedule{Version: ScheduleVersion, Windows: []ScheduledWindow{}}
}

// ParseSchedule reads a schedule. What it doesn't know it refuses: whoever changes a schedule writes all of it anew,
// and would lose that. The error wraps ErrScheduleVersion or ErrSchedule.
func ParseSchedule(data []byte) (Schedule, error) {
	s, err := parseSchedule(data)
	switch {
	case errors.Is(err, ErrScheduleVersion):
		return Schedule{}, fmt.Errorf("parse the schedule: %w", err)
	case err != nil:
		return Schedule{}, fmt.Errorf("parse the schedule: %w: %w", ErrSchedule, err)
	}
	return s.tidy(), nil
}

func parseSchedule(data []byte) (s Schedule, err error) {
	if err := checkVersion(data, ScheduleVersion, ErrScheduleVersion); err != nil {
		return s, err
	}
	if err := readStrictly(data, &s); err != nil {
		return s, err
	}
	if s.Windows == nil {
		return s, errors.New("no windows")
	}
	return s, s.Validate()
}

// Marshal returns the schedule as it is published: one line of JSON ending in a newline. Two schedules that say the
// same have the same bytes.
func (s Schedule) Marshal() []byte {
	return line(s.tidy())
}

// tidy has the windows in their order, with times as they are written.
func (s Schedule) tidy() Schedule {
	out := Schedule{Version: s.Version, Windows: make([]ScheduledWindow, 0, len(s.Windows))}
	for _, w := range s.Windows {
		w.From, w.Until, w.UpdatedAt = stamp(w.From), stamp(w.Until), stamp(w.UpdatedAt)
		if len(w.Messages) == 0 {
			w.Messages = nil
		}
		out.Windows = append(out.Windows, w)
	}
	slices.SortFunc(out.Windows, func(a, b ScheduledWindow) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// windowID is what an id looks like: it stands in file names, URLs and calendars.
var windowID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,63}$`) })

// Validate returns nil, or every fault of the schedule joined (errors.Join).
func (s Schedule) Validate() error {
	var f problems
	if s.Version != ScheduleVersion {
		f.add("version is %d, want %d", s.Version, ScheduleVersion)
	}
	seen := map[string]bool{}
	for i, w := range s.Windows {
		if seen[w.ID] {
			f.add("window %d: another has the id %q", i+1, w.ID)
		}
		seen[w.ID] = true
		if err := w.Validate(); err != nil {
			f.add("window %d: %w", i+1, err)
		}
	}
	return errors.Join(f...)
}

// Validate returns nil, or every fault of the window joined (errors.Join).
func (w ScheduledWindow) Validate() error {
	var f problems
	if !windowID().MatchString(w.ID) {
		f.add("id: %q is not one", w.ID)
	}
	if !w.State.known() {
		f.add("state: %q is not one", string(w.State))
	}
	if _, err := ParseMode(string(w.Mode)); err != nil {
		f.add("mode: %w", err)
	} else if !w.Mode.Closed() {
		f.add("mode: %q closes nothing", string(w.Mode))
	}
	for _, t := range []struct {
		key string
		at  time.Time
	}{{"from", w.From}, {"until", w.Until}, {"updatedAt", w.UpdatedAt}} {
		switch year := t.at.UTC().Year(); {
		case stamp(t.at).IsZero():
			f.add("%s is missing", t.key)
		case year < 0 || year > 9999:
			f.add("%s: time %v can't be written as RFC 3339", t.key, t.at)
		}
	}
	// One that was opened in the second in which it had begun took no time.
	if until, from := stamp(w.Until), stamp(w.From); until.Before(from) || until.Equal(from) && w.State != WindowCompleted {
		f.add("until is not after from")
	}
	Document{Message: w.Message, Messages: w.Messages}.checkMessages(&f)
	return errors.Join(f...)
}

// Window returns the window of an id, ok false where there is none.
func (s Schedule) Window(id string) (w ScheduledWindow, ok bool) {
	i := s.index(id)
	if i < 0 {
		return ScheduledWindow{}, false
	}
	return s.Windows[i], true
}

func (s Schedule) index(id string) int {
	return slices.IndexFunc(s.Windows, func(w ScheduledWindow) bool { return w.ID == id })
}

// In returns the windows in a state, the earliest first; the result may be empty.
func (s Schedule) In(state WindowState) []ScheduledWindow {
	return slices.DeleteFunc(s.tidy().Windows, func(w ScheduledWindow) bool { return w.State != state })
}

// Next is the earliest window that is scheduled, as status.json announces it; nil where there is none.
func (s Schedule) Next() *Window {
	ahead := s.In(WindowScheduled)
	if len(ahead) == 0 {
		return nil
	}
	return &Window{From: ahead[0].From, Until: &ahead[0].Until}
}

// Add schedules a window: its ID, Mode, From, Until and words count. The error may wrap ErrOverlap, or say what is
// wrong with the window.
func (s Schedule) Add(w ScheduledWindow, now time.Time) (Schedule, error) {
	if _, there := s.Window(w.ID); there {
		return Schedule{}, fmt.Errorf("schedule a window: another has the id %q", w.ID)
	}
	w.Sequence, w.State, w.UpdatedAt = 0, WindowScheduled, now
	out := s.without(now)
	out.Windows = append(out.Windows, w)
	return out.checked(w)
}

// Moved is what Move makes of a window. What is nil stays as it is.
type Moved struct {
	From, Until *time.Time
	// Words replaces message and messages with those below, which may be nil.
	Words    bool
	Message  *string
	Messages map[string]string
}

// notBegun are the states of a window that may still be moved, or taken back.
var notBegun = []WindowState{WindowScheduled, WindowMissed}

// Move gives a window other times or other words. One that was missed is scheduled anew by it. The error
// may wrap ErrNoWindow, ErrWindowState or ErrOverlap, or say what is wrong with the window.
func (s Schedule) Move(id string, to Moved, now time.Time) (Schedule, error) {
	return s.change("move", id, now, notBegun, func(w *ScheduledWindow) {
		w.State = WindowScheduled
		if to.From != nil {
			w.From = *to.From
		}
		if to.Until != nil {
			w.Until = *to.Until
		}
		if to.Words {
			w.Message, w.Messages = to.Message, maps.Clone(to.Messages)
		}
	})
}

// Cancel takes back a window that has not begun. The error may wrap ErrNoWindow or ErrWindowState.
func (s Schedule) Cancel(id string, now time.Time) (Schedule, error) {
	return s.change("cancel", id, now, notBegun, func(w *ScheduledWindow) { w.State = WindowCancelled })
}

// Begin has a window begin that is scheduled: whoever publishes that, over the schedule that was read, is the one who
// begins it. The error may wrap ErrNoWindow or ErrWindowState.
func (s Schedule) Begin(id string, now time.Time) (Schedule, error) {
	return s.change("begin", id, now, []WindowState{WindowScheduled}, func(w *ScheduledWindow) { w.State = WindowInProgress })
}

// Extend gives a window that has begun another end. The error may wrap ErrNoWindow or ErrWindowState.
func (s Schedule) Extend(id string, until, now time.Time) (Schedule, error) {
	return s.change("extend", id, now, []WindowState{WindowInProgress}, func(w *ScheduledWindow) { w.Until = until })
}

// Complete ends a window that has begun, with its true times: when the site was closed, and when it was open again.
// The error may wrap ErrNoWindow or ErrWindowState.
func (s Schedule) Complete(id string, from, until, now time.Time) (Schedule, error) {
	return s.change("complete", id, now, []WindowState{WindowInProgress}, func(w *ScheduledWindow) {
		w.State, w.From, w.Until = WindowCompleted, from, until
		if w.Until.Before(w.From) {
			w.Until = w.From
		}
	})
}

// Miss says of a window that it did not begin in time: of one that was to begin, or whose beginning came to nothing.
// The error may wrap ErrNoWindow or ErrWindowState.
func (s Schedule) Miss(id string, now time.Time) (Schedule, error) {
	return s.change("miss", id, now, []WindowState{WindowScheduled, WindowInProgress}, func(w *ScheduledWindow) { w.State = WindowMissed })
}

// Due reports whether a window is to begin now, and whether it is too late for that. Neither holds before its time.
func (w ScheduledWindow) Due(now time.Time) (begins, missed bool) {
	switch {
	case now.Before(w.From):
		return false, false
	case now.After(w.From.Add(LateBy)), !now.Before(w.Until):
		return false, true
	}
	return true, false
}

// change gives one window its next sequence number and has it changed, where it is in one of the states; verb says how.
func (s Schedule) change(verb, id string, now time.Time, from []WindowState, do func(*ScheduledWindow)) (Schedule, error) {
	i := s.index(id)
	if i < 0 {
		return Schedule{}, fmt.Errorf("find window %s: %w", id, ErrNoWindow)
	}
	w := s.Windows[i]
	if !slices.Contains(from, w.State) {
		return Schedule{}, fmt.Errorf("%s window %s: %w: it is %s", verb, w.ID, ErrWindowState, w.State)
	}
	do(&w)
	w.Sequence, w.UpdatedAt = w.Sequence+1, now
	out := s.without(now)
	if i = out.index(id); i < 0 { // it was to be left out for its age: it is young again
		out.Windows = append(out.Windows, w)
	} else {
		out.Windows[i] = w
	}
	return out.checked(w)
}

// without is a copy that leaves out what was over long ago.
func (s Schedule) without(now time.Time) Schedule {
	s = s.tidy()
	s.Windows = slices.DeleteFunc(s.Windows, func(w ScheduledWindow) bool {
		return w.State.Over() && w.UpdatedAt.Before(now.Add(-KeptFor))
	})
	return s
}

// checked is the schedule with the window w changed, in its order, or why that can't be.
func (s Schedule) checked(w ScheduledWindow) (Schedule, error) {
	if err := w.Validate(); err != nil {
		return Schedule{}, err
	}
	if w.State != WindowScheduled {
		return s.tidy(), nil
	}
	for _, other := range s.Windows {
		if other.ID != w.ID && !other.State.Over() && stamp(w.From).Before(other.Until) && other.From.Before(stamp(w.Until)) {
			return Schedule{}, fmt.Errorf("schedule window %s: %w: %s, from %s until %s",
				w.ID, ErrOverlap, other.ID, other.From.Format(time.RFC3339), other.Until.Format(time.RFC3339))
		}
	}
	return s.tidy(), nil
}
