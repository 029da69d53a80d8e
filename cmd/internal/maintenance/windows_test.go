package maintenance

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/cmd/internal/webhook"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

const scheduleKey = "demo/schedule.json"

// scheduled returns a world in which a window of an hour begins in an hour, which its host knows.
func scheduled(t *testing.T) (w *world, start time.Time) {
	t.Helper()
	w = newWorld(t)
	w.announce(t, w.window("w", time.Hour))
	w.reconcile(t)
	return w, w.now.Add(time.Hour)
}

// announce schedules windows here.
func (w *world) announce(t *testing.T, windows ...status.ScheduledWindow) {
	t.Helper()
	for _, one := range windows {
		_, err := w.Announce(t.Context(), Announcement{Sites: w.Config.Sites, ID: one.ID, Reason: "upgrade", Change: func(s status.Schedule, now time.Time) (status.Schedule, error) {
			return s.Add(one, now)
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// change has another machine change the schedule.
func (w *world) change(t *testing.T, do func(status.Schedule) (status.Schedule, error)) {
	t.Helper()
	s := w.stored(t)
	s, err := do(s)
	if err != nil {
		t.Fatal(err)
	}
	w.docs[scheduleKey] = s.Marshal()
}

// stored is the schedule in the store.
func (w *world) stored(t *testing.T) status.Schedule {
	t.Helper()
	s, err := status.ParseSchedule(w.docs[scheduleKey])
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// in fails the test unless the window in the store is in a state, and returns it.
func (w *world) in(t *testing.T, state status.WindowState) status.ScheduledWindow {
	t.Helper()
	one, _ := w.stored(t).Window("w")
	if one.State != state {
		t.Fatalf("the window is %q, want %q", one.State, state)
	}
	return one
}

// told has on_change write down what it is told, and returns what that was, in its order.
func (w *world) told(t *testing.T) func() []state.Event {
	t.Helper()
	dir, err := os.MkdirTemp("", "conforma-status-") // not the test's own: nobody waits for who writes there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w.Config.OnChange = []string{"sh", "-c", `f=$(mktemp "$0/XXXXXX"); { echo "$CONFORMA_STATUS_EVENT"; cat; } >"$f" && mv "$f" "$f.told"`, dir}
	return func() []state.Event {
		var events []state.Event
		for _, data := range contents(t, dir, "*.told") {
			kind, line, _ := strings.Cut(string(data), "\n")
			var e state.Event
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatalf("%v: %s", err, data)
			}
			e.Reason = kind
			events = append(events, e)
		}
		return events
	}
}

// TestWindowBegins: a window begins at its time, by whatever looks first, and once; what is open again is completed.
func TestWindowBegins(t *testing.T) {
	w, start := scheduled(t)
	if next := w.announced(t).Next; next == nil || !next.From.Equal(start) || !next.Until.Equal(start.Add(time.Hour)) {
		t.Fatalf("status.json announces %+v", next)
	}
	w.now = start.Add(-time.Minute)
	if rs := w.reconcile(t); len(rs) > 0 || w.effective() != status.Online {
		t.Fatalf("a minute before it begins: %v, %s", rs, w.effective())
	}
	w.now = start
	rs := w.reconcile(t)
	if len(rs) != 1 || rs[0].Mode != status.Offline || rs[0].SafeSince == nil || !rs[0].ExpectedUntil.Equal(start.Add(time.Hour)) {
		t.Fatalf("at its time: %+v", rs)
	}
	w.agrees(t, status.Offline)
	if one := w.in(t, status.WindowInProgress); one.Sequence != 1 {
		t.Errorf("its sequence is %d", one.Sequence)
	}
	if next := w.announced(t).Next; next != nil {
		t.Errorf("status.json announces %+v", next)
	}
	for range 3 { // the timer, and reconcile behind it
		w.now = w.now.Add(time.Minute)
		if rs := w.reconcile(t); len(rs) > 0 {
			t.Fatalf("it begins again: %+v", rs)
		}
	}
	events, _, err := w.Dir().History()
	if err != nil || len(events) != 1 || events[0].Reason != "window w, scheduled by ann: upgrade" {
		t.Fatalf("the history has %+v, %v", events, err)
	}
	w.now = start.Add(40 * time.Minute)
	w.set(t, status.Admin)
	w.in(t, status.WindowInProgress)
	w.now = start.Add(50 * time.Minute)
	w.set(t, status.Online)
	if one := w.in(t, status.WindowCompleted); !one.From.Equal(start) || !one.Until.Equal(start.Add(50*time.Minute)) {
		t.Errorf("it was from %v until %v", one.From, one.Until)
	}
	w.now = start.Add(time.Hour)
	if rs := w.reconcile(t); len(rs) > 0 || w.effective() != status.Online {
		t.Errorf("after it was opened: %v, %s", rs, w.effective())
	}
}

// announced is what status.json says.
func (w *world) announced(t *testing.T) status.Document {
	t.Helper()
	d, err := status.Parse(w.docs[StatusKey(w.site)])
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestWindowHostIsOff: the host comes back after the start.
func TestWindowHostIsOff(t *testing.T) {
	for name, c := range map[string]struct {
		back   time.Duration
		state  status.WindowState
		length time.Duration
	}{
		"in time":             {status.LateBy, status.WindowInProgress, time.Hour},
		"too late":            {status.LateBy + time.Second, status.WindowMissed, time.Hour},
		"after a short one":   {10 * time.Minute, status.WindowMissed, 10 * time.Minute},
		"within a short one":  {9 * time.Minute, status.WindowInProgress, 10 * time.Minute},
		"the next day":        {24 * time.Hour, status.WindowMissed, time.Hour},
		"the next day, still": {24 * time.Hour, status.WindowMissed, 72 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			one := w.window("w", time.Hour)
			one.Until = one.From.Add(c.length)
			w.announce(t, one)
			told := w.told(t)
			w.now = one.From.Add(c.back)
			w.running = false
			if _, err := w.Reconcile(t.Context(), 0); err != nil { // at boot, before nginx
				t.Fatal(err)
			}
			w.in(t, status.WindowScheduled)
			w.running = true
			w.load()
			w.reconcile(t)
			w.in(t, c.state)
			want := status.Online
			if c.state == status.WindowInProgress {
				want = status.Offline
			}
			if w.effective() != want {
				t.Errorf("the site is %s, want %s", w.effective(), want)
			}
			w.reconcile(t)
			if c.state != status.WindowMissed {
				return
			}
			waitFor(t, func() bool { return len(told()) > 0 })
			if events := told(); len(events) != 1 || events[0].Reason != string(webhook.Missed) || events[0].From != status.Online {
				t.Errorf("on_change was told %+v", events)
			}
			if _, err := w.Announce(t.Context(), Announcement{Sites: w.Config.Sites, ID: "w", Change: func(s status.Schedule, now time.Time) (status.Schedule, error) {
				from, until := now.Add(time.Hour), now.Add(2*time.Hour)
				return s.Move("w", status.Moved{From: &from, Until: &until}, now)
			}}); err != nil {
				t.Errorf("scheduled anew: %v", err)
			}
			w.in(t, status.WindowScheduled)
		})
	}
}

// waitFor waits for something that a process does which nobody waits for.
func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never happened")
		}
	}
}

// TestWindowStoreAway: it begins by what was read last, and the store is told once it is back, unless somebody else has
// changed the window there meanwhile.
func TestWindowStoreAway(t *testing.T) {
	later := func(s status.Schedule, now time.Time) (status.Schedule, error) {
		from, until := now.Add(24*time.Hour), now.Add(25*time.Hour)
		return s.Move("w", status.Moved{From: &from, Until: &until}, now)
	}
	for name, c := range map[string]struct {
		meanwhile func(s status.Schedule, now time.Time) (status.Schedule, error) // in the store
		opened    bool                                                            // before the store is back
		state     status.WindowState
		sequence  uint64
	}{
		"nobody did anything": {nil, false, status.WindowInProgress, 1},
		"and it is open":      {nil, true, status.WindowCompleted, 2},
		"moved":               {later, false, status.WindowScheduled, 1},
		"moved, and open":     {later, true, status.WindowScheduled, 1},
		"cancelled":           {func(s status.Schedule, now time.Time) (status.Schedule, error) { return s.Cancel("w", now) }, false, status.WindowCancelled, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w, start := scheduled(t)
			w.storeErr = errDown
			w.now = start
			if rs := w.reconcile(t); len(rs) != 1 || w.effective() != status.Offline || rs[0].Published {
				t.Fatalf("at its time: %+v, %s", rs, w.effective())
			}
			w.now = start.Add(10 * time.Minute)
			w.reconcile(t)
			if c.opened {
				w.set(t, status.Online)
			}
			w.storeErr = nil
			if c.meanwhile != nil {
				w.change(t, func(s status.Schedule) (status.Schedule, error) { return c.meanwhile(s, w.now) })
			}
			w.now = start.Add(20 * time.Minute)
			w.reconcile(t)
			if one := w.in(t, c.state); one.Sequence != c.sequence {
				t.Errorf("its sequence is %d, want %d", one.Sequence, c.sequence)
			}
			want := status.Offline
			if c.opened {
				want = status.Online
			}
			w.agrees(t, want)
			if next := w.announced(t).Next; (next != nil) != (c.state == status.WindowScheduled) {
				t.Errorf("status.json announces %+v", next)
			}
			w.now = start.Add(30 * time.Minute)
			if rs := w.reconcile(t); len(rs) > 0 {
				t.Errorf("something is left to do: %+v", rs)
			}
		})
	}
}

// TestWindowElsewhere: another machine moves or cancels a window before, at and after its start.
func TestWindowElsewhere(t *testing.T) {
	move := func(by time.Duration) func(status.Schedule, time.Time) (status.Schedule, error) {
		return func(s status.Schedule, now time.Time) (status.Schedule, error) {
			one, _ := s.Window("w")
			from, until := one.From.Add(by), one.Until.Add(by)
			return s.Move("w", status.Moved{From: &from, Until: &until}, now)
		}
	}
	cancel := func(s status.Schedule, now time.Time) (status.Schedule, error) { return s.Cancel("w", now) }
	for name, c := range map[string]struct {
		at     time.Duration // from the start
		change func(status.Schedule, time.Time) (status.Schedule, error)
		state  status.WindowState // a minute later
		fails  bool
	}{
		"moved before":             {-time.Minute, move(time.Hour), status.WindowScheduled, false},
		"moved forward":            {-10 * time.Minute, move(-9 * time.Minute), status.WindowInProgress, false},
		"moved just before":        {-time.Second, move(time.Hour), status.WindowScheduled, false},
		"moved at it, begun later": {0, move(time.Minute), status.WindowInProgress, false},
		"cancelled before":         {-time.Minute, cancel, status.WindowCancelled, false},
		"cancelled just before":    {-time.Second, cancel, status.WindowCancelled, false},
		"cancelled at it":          {0, cancel, status.WindowCancelled, false},
		"cancelled once it began":  {time.Second, cancel, status.WindowInProgress, true},
		"moved once it began":      {time.Second, move(time.Hour), status.WindowInProgress, true},
	} {
		t.Run(name, func(t *testing.T) {
			w, start := scheduled(t)
			if c.at > 0 {
				w.now = start
				w.reconcile(t)
			}
			w.now = start.Add(c.at)
			changed, err := c.change(w.stored(t), w.now)
			if c.fails != (err != nil) || c.fails && !errors.Is(err, status.ErrWindowState) {
				t.Fatalf("the change: %v", err)
			}
			if err == nil {
				w.docs[scheduleKey] = changed.Marshal()
			}
			w.now = w.now.Add(time.Minute)
			w.reconcile(t)
			w.in(t, c.state)
			if closed := w.effective().Closed(); closed != (c.state == status.WindowInProgress) {
				t.Errorf("the site is %s", w.effective())
			}
		})
	}
}

// TestWindowBegunElsewhere: whoever puts it to in progress first begins it, the other leaves it alone.
func TestWindowBegunElsewhere(t *testing.T) {
	for _, between := range []bool{false, true} {
		w, start := scheduled(t)
		w.now = start
		begun := func() {
			w.change(t, func(s status.Schedule) (status.Schedule, error) { return s.Begin("w", w.now) })
		}
		if between {
			w.between = begun
		} else {
			begun()
		}
		w.reconcile(t)
		w.in(t, status.WindowInProgress)
		if w.effective() != status.Online {
			t.Errorf("between %v: the site is %s", between, w.effective())
		}
	}
}

// TestWindowCrash: the program dies at each moment of a beginning. The next run goes on, once.
func TestWindowCrash(t *testing.T) {
	for n := 1; ; n++ {
		w, start := scheduled(t)
		w.now = start
		moments, crashed := 0, false
		w.moment = func(string) {
			if moments++; moments == n {
				panic("killed")
			}
		}
		func() {
			defer func() { crashed = recover() != nil }()
			w.reconcile(t)
		}()
		w.moment = func(string) {}
		w.now = w.now.Add(time.Minute)
		w.reconcile(t)
		w.agrees(t, status.Offline)
		w.in(t, status.WindowInProgress)
		w.now = w.now.Add(time.Minute)
		w.set(t, status.Online)
		w.in(t, status.WindowCompleted)
		w.now = w.now.Add(time.Minute)
		if rs := w.reconcile(t); len(rs) > 0 || w.effective() != status.Online {
			t.Fatalf("killed at moment %d: it begins again: %+v", n, rs)
		}
		if !crashed {
			if n < 10 {
				t.Errorf("there were only %d moments", n)
			}
			return
		}
	}
}

// TestWindowOfAClosedSite: what becomes of a window whose site somebody has closed by hand.
func TestWindowOfAClosedSite(t *testing.T) {
	w, start := scheduled(t)
	w.now = start.Add(-10 * time.Minute)
	eta, text := start.Add(-5*time.Minute), "We restart."
	w.set(t, status.Offline, func(r *Request) { r.ETA, r.Message = &eta, &text })
	w.reconcile(t)
	w.in(t, status.WindowScheduled) // it is to be open again before
	w.now = start.Add(-time.Minute)
	eta = start.Add(5 * time.Minute)
	w.set(t, status.Offline, func(r *Request) { r.ETA = &eta })
	w.reconcile(t)
	w.in(t, status.WindowInProgress)
	if d := w.announced(t); !d.ExpectedUntil.Equal(start.Add(time.Hour)) || *d.Message != "We restart." || d.Next != nil {
		t.Errorf("visitors are told %+v", d)
	}
	w.now = start.Add(30 * time.Minute)
	longer := start.Add(2 * time.Hour)
	if _, err := w.Extend(t.Context(), Request{Keeps: KeepsMode, Sites: w.Config.Sites, ETA: &longer}); err != nil {
		t.Fatal(err)
	}
	if one := w.in(t, status.WindowInProgress); !one.Until.Equal(longer) {
		t.Errorf("it is until %v", one.Until)
	}
	w.set(t, status.Online)
	if one := w.in(t, status.WindowCompleted); !one.From.Equal(start.Add(-10*time.Minute)) || !one.Until.Equal(start.Add(30*time.Minute)) {
		t.Errorf("it was from %v until %v", one.From, one.Until)
	}
}

// TestWindowNotClosed: a closing that fails is tried again while there is time, said once, and missed in the end.
func TestWindowNotClosed(t *testing.T) {
	w, start := scheduled(t)
	told := w.told(t)
	w.now, w.blind, w.reloadErr = start, true, errors.New("made up")
	for range 3 {
		w.Reconcile(t.Context(), 0)
		w.now = w.now.Add(time.Minute)
	}
	w.in(t, status.WindowInProgress)
	waitFor(t, func() bool {
		return slices.ContainsFunc(told(), func(e state.Event) bool {
			return e.Reason == eventUnsafe && strings.HasPrefix(e.Error, "THE SITE IS NOT CLOSED: ")
		})
	})
	w.now = start.Add(status.LateBy + time.Minute)
	w.Reconcile(t.Context(), 0)
	w.in(t, status.WindowMissed)
	w.blind, w.reloadErr = false, nil
	w.reconcile(t)
	waitFor(t, func() bool {
		return slices.ContainsFunc(told(), func(e state.Event) bool { return e.Reason == string(webhook.Missed) })
	})
}

// TestWindowUnsafe: exit 4 of such a closing is an event that shouts.
func TestWindowUnsafe(t *testing.T) {
	w, start := scheduled(t)
	told := w.told(t)
	w.now, w.reloadErr = start, errors.New("made up")
	if rs := w.reconcile(t); len(rs) != 1 || rs[0].Outcome != state.Shut {
		t.Fatalf("at its time: %+v", rs)
	}
	w.in(t, status.WindowInProgress)
	waitFor(t, func() bool {
		return slices.ContainsFunc(told(), func(e state.Event) bool {
			return e.Reason == eventUnsafe && strings.HasPrefix(e.Error, "NOT SAFE TO TAKE A SNAPSHOT: ")
		})
	})
}

// dated is a store whose server tells the time.
type dated struct {
	fakeStore
	off time.Duration
}

func (d dated) GetDated(ctx context.Context, key string) ([]byte, string, time.Time, error) {
	data, etag, err := d.Get(ctx, key)
	return data, etag, d.w.now.Add(d.off), err
}

var _ store.Dated = dated{}

// TestWindowClock: nothing begins, or is missed, by a clock that is wrong, and that is said.
func TestWindowClock(t *testing.T) {
	for name, c := range map[string]struct {
		off   time.Duration // of the store's clock
		state status.WindowState
	}{
		"right":             {0, status.WindowInProgress},
		"a little off":      {-4 * time.Minute, status.WindowInProgress},
		"an hour fast":      {-time.Hour, status.WindowScheduled},
		"an hour slow":      {time.Hour, status.WindowScheduled},
		"the store is away": {0, status.WindowInProgress},
	} {
		t.Run(name, func(t *testing.T) {
			w, start := scheduled(t)
			w.Store = dated{fakeStore{w}, c.off}
			w.now = start
			_, err := w.Reconcile(t.Context(), 0)
			w.in(t, c.state)
			if wrong := c.state == status.WindowScheduled; errors.Is(err, ErrClock) != wrong || w.effective().Closed() == wrong {
				t.Errorf("the site is %s: %v", w.effective(), err)
			}
			if c.state == status.WindowScheduled {
				w.now = start.Add(time.Hour)
				w.Reconcile(t.Context(), 0)
				w.in(t, status.WindowScheduled) // nothing is missed by it, either
				w.Store = fakeStore{w}
				w.reconcile(t)
				w.in(t, status.WindowMissed)
			}
		})
	}
}

// TestWindowOfABadSchedule: what can't be understood is left as it is and said, and what was read last begins.
func TestWindowOfABadSchedule(t *testing.T) {
	for name, data := range map[string]string{
		"of the future": `{"version":2,"windows":[]}`, "cut off": `{"version":1,"windows":[{"id":"w"`, "somebody else's": "<html>",
	} {
		t.Run(name, func(t *testing.T) {
			w, start := scheduled(t)
			w.docs[scheduleKey] = []byte(data)
			w.now = start
			_, err := w.Reconcile(t.Context(), 0)
			if !errors.Is(err, status.ErrSchedule) && !errors.Is(err, status.ErrScheduleVersion) {
				t.Errorf("it says %v", err)
			}
			if w.effective() != status.Offline || string(w.docs[scheduleKey]) != data {
				t.Errorf("the site is %s, in the store is %s", w.effective(), w.docs[scheduleKey])
			}
		})
	}
}

// TestWindowStoreIsEmptied: who empties the store has cancelled nothing.
func TestWindowStoreIsEmptied(t *testing.T) {
	w, _ := scheduled(t)
	clear(w.docs)
	w.reconcile(t)
	w.in(t, status.WindowScheduled)
}

// TestWindowSoon: reconcile waits for one that is about to begin, since what starts it then finds it at work.
func TestWindowSoon(t *testing.T) {
	w, start := scheduled(t)
	w.now = start.Add(-3 * time.Second)
	if rs := w.reconcile(t); len(rs) != 1 || w.effective() != status.Offline || w.now.Before(start) {
		t.Errorf("%+v, the site is %s at %v", rs, w.effective(), w.now)
	}
}

// TestTimer: the timer is told when to wake us, and again where that changes.
func TestTimer(t *testing.T) {
	w := newWorld(t)
	var last []time.Time
	w.Timer = func(_ context.Context, moments []time.Time) error { last = moments; return nil }
	one, two := w.window("w", time.Hour), w.window("v", 3*time.Hour)
	w.announce(t, one, two)
	if len(last) != 2 || !last[0].Equal(one.From) || !last[1].Equal(two.From) {
		t.Errorf("the timer is set to %v", last)
	}
	w.change(t, func(s status.Schedule) (status.Schedule, error) { return s.Cancel("w", w.now) })
	w.reconcile(t)
	if len(last) != 1 || !last[0].Equal(two.From) {
		t.Errorf("the timer is set to %v", last)
	}
}

// TestWindowEvents: on_change is told once of what another machine has scheduled, moved and cancelled.
func TestWindowEvents(t *testing.T) {
	w := newWorld(t)
	told := w.told(t)
	kinds := func() string {
		var all []string
		for _, e := range told() {
			all = append(all, e.Reason)
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	for _, step := range []struct {
		change func(status.Schedule) (status.Schedule, error)
		told   string
	}{
		{func(s status.Schedule) (status.Schedule, error) { return s.Add(w.window("w", time.Hour), w.now) }, "scheduled"},
		{func(s status.Schedule) (status.Schedule, error) {
			until := w.now.Add(3 * time.Hour)
			return s.Move("w", status.Moved{Until: &until}, w.now)
		}, "moved scheduled"},
		{func(s status.Schedule) (status.Schedule, error) { return s.Cancel("w", w.now) }, "cancelled moved scheduled"},
	} {
		if w.docs[scheduleKey] == nil {
			w.docs[scheduleKey] = status.EmptySchedule().Marshal()
		}
		w.change(t, step.change)
		w.reconcile(t)
		w.reconcile(t)
		waitFor(t, func() bool { return len(kinds()) >= len(step.told) })
		if got := kinds(); got != step.told {
			t.Errorf("on_change was told %q, want %q", got, step.told)
		}
	}
}
