package maintenance

import (
	"net/netip"
	"testing"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/status"
)

// TestWhatWasEndedIsNotSeenAgain ends a worker whose application is slow to close its side: that is one connection.
func TestWhatWasEndedIsNotSeenAgain(t *testing.T) {
	nginx, app, other := netip.MustParseAddrPort("127.0.0.1:40000"), netip.MustParseAddrPort("127.0.0.1:8000"), netip.MustParseAddrPort("127.0.0.1:40001")
	c := &change{}
	c.drain.ended = map[workers.Connection]bool{{Local: nginx, Remote: app, Process: workers.Process{PID: 7}, Upstream: true}: true}
	for _, row := range []struct {
		name          string
		local, remote netip.AddrPort
		left          int
	}{
		{"from nginx's end", nginx, app, 0},
		{"from the application's", app, nginx, 0},
		{"another", other, app, 1},
	} {
		left := c.concerning(workers.Remaining{GivenUp: []workers.Connection{{Local: row.local, Remote: row.remote, Upstream: true}}}, 0)
		if len(left.GivenUp) != row.left {
			t.Errorf("seen %s: %d left, want %d", row.name, len(left.GivenUp), row.left)
		}
	}
}

// TestWhoHasSentNothing: a client that has never sent a byte is waited for where the kernel doesn't keep it from the
// application. It has drained only once it is gone.
func TestWhoHasSentNothing(t *testing.T) {
	conn := workers.Connection{Local: netip.MustParseAddrPort("192.0.2.1:443"), Remote: netip.MustParseAddrPort("192.0.2.9:50000"), Process: workers.Process{PID: 7}}
	for _, row := range []struct {
		name    string
		mode    status.Mode
		barrier error
		silent  bool
		left    int
	}{
		{"behind the barrier", status.Offline, nil, true, 0},
		{"it has sent something", status.Offline, nil, false, 1},
		{"there is no barrier", status.Offline, errBarrierOff, true, 1},
		{"towards admin", status.Admin, nil, true, 1},
	} {
		c := &change{}
		c.steps, c.to.Mode, c.noBarrier = []Step{StepRefuse}, row.mode, row.barrier
		c.drain.all = map[workers.Connection]bool{conn: true} // seen beside another, of which that isn't so
		c.drain.look(c.concerning(workers.Remaining{Connections: []workers.Connection{conn}, Silent: row.silent}, 0))
		if n := len(c.drain.left.Connections); n != row.left {
			t.Errorf("%s: %d left, want %d", row.name, n, row.left)
		}
		if c.drain.finish(); c.drain.finished != 0 {
			t.Errorf("%s: it is still there, and counts as drained", row.name)
		}
	}
}

// TestManyClientsAreLookedAtLate: while nginx closes thousands that are idle, nobody looks at each one that is left.
// Where they stay, or something leads to an application, they are looked at.
func TestManyClientsAreLookedAtLate(t *testing.T) {
	const clients, told, closing = 20_000, 8, 10 // in pauses
	one := workers.Connection{Upstream: true}
	for _, row := range []struct {
		name   string
		held   int
		closed int // by nginx, of these clients
		toApp  bool
		looks  bool // at any of them
	}{
		{"nginx closes them", clients + 10, clients, false, false},
		{"it closes them, and a request is under way", clients + 10, clients, true, true},
		{"they stay", clients + 10, 0, false, true},
		{"nobody can say how many there are", 0, clients, false, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			w.withKernel()
			w.left.Connections = make([]workers.Connection, clients)
			if row.toApp {
				w.left.Connections[0] = one
			}
			w.held = row.held
			slept, looks := 0, 0
			w.sleeps = func() {
				if slept++; slept > told && slept <= told+closing && w.held > 0 {
					w.held -= row.closed / closing
				}
				if slept == told+closing {
					w.left.Connections = nil
				}
			}
			w.moment = func(what string) {
				if what == "left" && len(w.left.Connections) > 0 {
					looks++
				}
			}
			began := w.now
			if r := w.set(t, status.Offline); r.SafeSince == nil {
				t.Fatalf("it is not safe: %q", r.Warnings)
			}
			if looks > 0 != row.looks {
				t.Errorf("%d looks at them in %v", looks, w.now.Sub(began))
			}
		})
	}
}

// TestClosingEndsWhenNoOldWorkerListens: behind the kernel barrier it is safe before that, but whoever asks nginx next
// would be answered by the earlier rules. It doesn't wait for ever.
func TestClosingEndsWhenNoOldWorkerListens(t *testing.T) {
	listens := workers.Remaining{ListeningWorkers: []workers.Process{{PID: 7}}}
	for name, looks := range map[string]int{"it leaves": 20, "it stays": 0} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.withKernel()
			w.left, w.drainAfter = listens, looks
			began := w.now
			r := w.set(t, status.Offline)
			if r.SafeSince == nil {
				t.Fatalf("it is not safe: %q", r.Warnings)
			}
			if looks > 0 && len(w.left.ListeningWorkers) > 0 {
				t.Errorf("it is over after %v, and an old worker still listens", w.now.Sub(began))
			}
			if took := w.now.Sub(*r.SafeSince); took > 2*handoverTimeout {
				t.Errorf("it went on for %v after it was safe", took)
			}
		})
	}
}
