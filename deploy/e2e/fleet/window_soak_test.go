//go:build soak

package fleet

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestSoakFleetOrdererGone: what somebody has ordered who was killed is told all the same, once and by nobody else.
func TestSoakFleetOrdererGone(t *testing.T) {
	t.Parallel()
	told := newReceiver(t)
	m := newMembersOf(t, 2, members{poll: "100ms", top: told.config})
	m.follow(t)
	m.agents[1].Kill(t)
	order := m.hosts[0].Start(t, rig.Call{Args: []string{"set", "offline", "--wait", "10s"}})
	m.wait(t, "app-1 to be safe", func() bool { return strings.Contains(m.receipt(0), `"outcome":"safe"`) })
	order.Signal(syscall.SIGKILL)
	order.Wait(t)
	m.wait(t, "the webhook to be told", func() bool {
		for _, h := range m.hosts {
			h.CLI(t, "reconcile").Want(t, 0)
		}
		time.Sleep(time.Second)
		return len(told.all()) > 0
	})
	told.wants(t, "closed")
}

// TestSoakFleetWindow: a window closes all hosts by one order, whoever begins it; what happens is told once.
func TestSoakFleetWindow(t *testing.T) {
	t.Parallel()
	told := newReceiver(t)
	m := newMembersOf(t, 2, members{poll: "100ms", top: told.config})
	m.follow(t)
	a, b := m.hosts[0], m.hosts[1]
	b.CLI(t, "publish").Want(t, 0)
	var from time.Time
	for ahead := 4 * time.Second; ; ahead *= 2 { // on a busy machine it may have come before it is scheduled
		from = time.Now().Add(ahead)
		if b.CLI(t, "schedule", "offline", "--from", from.Format(time.RFC3339), "--for", "10m", "--message", "a window").Code == 0 {
			break
		}
	}
	rig.WaitFor(t, "it to begin soon", func() bool { return time.Until(from) < 3*time.Second })
	done := make(chan rig.Result)
	for _, h := range m.hosts {
		go func() { done <- h.CLI(t, "reconcile") }() // it waits until the window begins
	}
	for range m.hosts {
		(<-done).Want(t, 0)
	}
	for i := range m.hosts {
		m.wait(t, "the window to close each host", func() bool { return m.status(t, i) == 503 && strings.Contains(m.receipt(i), `"outcome":"safe"`) })
	}
	if got := a.Published(t, "demo"); !strings.Contains(got, `"order":1`) || !strings.Contains(got, `"message":"a window"`) {
		t.Errorf("published: %s", got)
	}
	told.wants(t, "scheduled", "closed")
	for _, h := range m.hosts {
		h.CLI(t, "reconcile").Want(t, 0)
	}
	told.wants(t, "scheduled", "closed", "closed safe")
	a.CLI(t, "extend", "1s").Want(t, 0)
	m.wait(t, "the ETA to pass", func() bool {
		for _, h := range m.hosts {
			h.CLI(t, "reconcile").Want(t, 0)
		}
		return slices.Contains(told.all(), "overdue safe")
	})
	a.CLI(t, "set", "online").Want(t, 0)
	all := []string{"scheduled", "closed", "closed safe", "extended safe", "overdue safe", "opened"}
	told.wants(t, all...)
	for _, h := range m.hosts {
		h.CLI(t, "reconcile").Want(t, 0)
	}
	if got := b.CLI(t, "schedule", "list").Want(t, 0); !strings.Contains(got.Stdout, "completed") {
		t.Errorf("the window is\n%s", got.Stdout)
	}
	told.wants(t, all...)
}
