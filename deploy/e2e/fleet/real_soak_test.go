//go:build soak

package fleet

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// mishap is what goes wrong while an order is on its way.
type mishap string

// deck has what goes wrong with each of the 50 orders that are carried out.
var deck = slices.Concat(
	slices.Repeat([]mishap{""}, 16), slices.Repeat([]mishap{"an agent is killed"}, 8), slices.Repeat([]mishap{"a machine dies"}, 7),
	slices.Repeat([]mishap{"who orders is killed"}, 6), slices.Repeat([]mishap{"the store is away"}, 3), slices.Repeat([]mishap{"the store answers late"}, 3),
	slices.Repeat([]mishap{"answers are lost"}, 5), slices.Repeat([]mishap{"a machine is cut off"}, 2),
)

// TestSoakFleetOfFive: five machines behind HAProxy, visitors all the time, and 50 orders, whatever goes wrong on the
// way. No request reaches an application after "safe", and visitors are never told that the site is more open than a
// machine is.
func TestSoakFleetOfFive(t *testing.T) {
	t.Parallel()
	rig.NeedBarrier(t)
	if !rig.InOwnNetwork(t) {
		return
	}
	f := newFleet(t, 5)
	pump, looks := f.pump(t), f.watch(t)
	cards := slices.Clone(deck)
	for i := range cards {
		j := i + f.chance.IntN(len(cards)-i)
		cards[i], cards[j] = cards[j], cards[i]
	}
	began := time.Now()
	for i := 0; i < len(cards) && !t.Failed(); i += 2 {
		f.window(t, func() { f.reach(t, "offline", cards[i]) }, func() {}, func() { f.reach(t, "online", cards[i+1]) })
	}
	t.Logf("%d orders took %v", len(cards), time.Since(began))
	f.clone(t)
	f.cutOffThroughAWindow(t)
	if pump.let.Load() == 0 || pump.kept.Load() == 0 || looks.Load() == 0 {
		t.Errorf("visitors were let in %d times, and refused %d times; what they are told was compared %d times", pump.let.Load(), pump.kept.Load(), looks.Load())
	}
	t.Logf("visitors were let in %d times, refused %d times, and got no answer %d times; what they are told was compared %d times",
		pump.let.Load(), pump.kept.Load(), pump.failed.Load(), looks.Load())
}

// window closes, does something while it is safe, and opens. While it is safe nothing reaches an application.
func (f *fleet) window(t *testing.T, closes, while, opens func()) {
	t.Helper()
	closes()
	at := f.reached()
	for _, m := range f.machines {
		if open := m.App.Open(); len(open) > 0 {
			t.Errorf("it is safe, and the application of %s is at work on %s", m.name, open[0].URI)
		}
	}
	while()
	time.Sleep(50 * time.Millisecond)
	if now := f.reached(); !slices.Equal(at, now) {
		t.Errorf("it is safe, and the applications went on from %v requests to %v", at, now)
	}
	opens()
	for _, m := range f.machines {
		if got := m.visit(); got != fromApplication {
			t.Errorf("every host is said to be open, and %s answers %d", m.name, got)
		}
	}
}

// reach orders until it is done. In the first attempt something goes wrong.
func (f *fleet) reach(t *testing.T, mode string, wrong mishap) {
	t.Helper()
	const attempts = 8
	said := ""
	for i := range attempts {
		by := f.chance.IntN(len(f.machines) + 1) // a machine, or the laptop
		wait := "90s"
		if wrong == "a machine is cut off" && i == 0 {
			wait = "1s"
		}
		args := []string{"set", mode, "--wait", wait}
		var order *rig.Running
		if by < len(f.machines) {
			order = f.machines[by].start(t, args...)
		} else {
			order = f.laptop.Start(t, rig.Call{Env: f.env, Args: args})
		}
		after := time.Duration(f.chance.IntN(500)) * time.Millisecond
		victim := f.chance.IntN(len(f.machines))
		mend := func() {}
		if i == 0 && wrong != "" {
			time.Sleep(after)
			mend = f.goWrong(t, wrong, order, victim, by)
		}
		result := order.Wait(t)
		mend()
		if result.Code == 0 {
			return
		}
		said += fmt.Sprintf("by %d: exit code %d\n%s%s\n", by, result.Code, result.Stdout, result.Stderr)
		if wrong == "" {
			break // nothing was in its way
		}
	}
	for _, m := range f.machines {
		t.Logf("%s:\n%s", m.name, m.agent.Said(t).Stderr)
	}
	t.Fatalf("%q while %s is ordered: it isn't reached\n%s", wrong, mode, said)
}

// goWrong has something go wrong for a while, and returns what ends it once the order has ended.
func (f *fleet) goWrong(t *testing.T, wrong mishap, order *rig.Running, victim, by int) (mend func()) {
	t.Helper()
	m := f.machines[victim]
	brief := func(w weather) func() {
		f.gateway.set(w)
		return func() { f.gateway.set(fair) }
	}
	switch wrong {
	case "an agent is killed":
		m.killAgent(t)
		m.agent = m.start(t, "follow")
	case "a machine dies":
		if victim == by {
			order.Signal(syscall.SIGKILL)
			order.Wait(t)
		}
		m.die(t)
		m.boot(t)
	case "who orders is killed":
		order.Signal(syscall.SIGKILL)
	case "the store is away":
		f.gateway.set(away)
		time.Sleep(time.Second)
		f.gateway.set(fair)
	case "the store answers late":
		return brief(late)
	case "answers are lost":
		return brief(losing)
	case "a machine is cut off":
		m.pull(t)
		return func() { m.plug(t) }
	default:
		t.Fatalf("what is %q?", wrong)
	}
	return func() {}
}

// clone starts a machine whose disk is a copy of another's: it is shut, and the fleet goes on without it.
func (f *fleet) clone(t *testing.T) {
	t.Helper()
	of := f.machines[f.chance.IntN(len(f.machines))]
	c := f.newMachine(t, of.name, first+len(f.machines))
	rig.Check(t, os.RemoveAll(c.State))
	rig.Check(t, exec.Command("cp", "-a", of.State, c.State).Run())
	c.boot(t)
	rig.WaitFor(t, "the clone to find out", func() bool { return strings.Contains(c.agent.Said(t).Stderr, "another machine has this host's name") })
	isShut := func() {
		if _, err := os.Stat(c.ClosedFile()); err != nil || c.visit() != refused || c.App.Count() > 0 {
			t.Errorf("a clone of %s isn't shut: %v", of.name, err)
		}
	}
	f.window(t, func() { f.reach(t, "offline", "") }, isShut, func() { f.reach(t, "online", "") })
	isShut()
	c.die(t)
}

// cutOffThroughAWindow has a machine hear nothing of a whole window: the others close and open, it is named, nothing
// is called safe, and visitors aren't told that the site is open before it is back.
func (f *fleet) cutOffThroughAWindow(t *testing.T) {
	t.Helper()
	m := f.machines[f.chance.IntN(len(f.machines))]
	m.pull(t)
	for _, o := range []struct {
		mode  string
		wants answer
	}{{"offline", refused}, {"online", fromApplication}} {
		said := f.laptop.Call(t, rig.Call{Env: f.env, Args: []string{"set", o.mode, "--wait", "1s"}}).Want(t, 4).Stdout
		if _, verdict, _ := strings.Cut(said, "NOT "); !strings.Contains(verdict, m.name) {
			t.Errorf("%s is cut off, and it is said:\n%s", m.name, said)
		}
		for _, other := range f.machines {
			if other != m {
				rig.WaitFor(t, other.name+" to be "+o.mode, func() bool { return other.visit() == o.wants })
			}
		}
		if d, err := f.published(); err != nil || !d.Mode.Closed() {
			t.Errorf("%s is cut off, and visitors are told %s, %v", m.name, d.Mode, err)
		}
	}
	m.plug(t)
	rig.WaitFor(t, "the fleet to be open", func() bool {
		d, err := f.published()
		return err == nil && !d.Mode.Closed()
	})
}
