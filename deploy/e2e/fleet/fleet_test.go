package fleet

import (
	"os"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestSeveralHostsOneSwitch: set on one host closes and opens all, from a machine without nginx too; safe is said of
// all of them or not at all; an order that nobody signed opens nothing.
func TestSeveralHostsOneSwitch(t *testing.T) {
	t.Parallel()
	told := newReceiver(t)
	m := newMembersOf(t, 2, members{poll: "100ms", top: told.config})
	m.follow(t)
	a, b := m.hosts[0], m.hosts[1]

	closed := a.CLI(t, "set", "offline", "--eta", "30m", "--reason", "a new version").Want(t, 0)
	for _, words := range []string{"app-1", "app-2", "safe to take a snapshot: 2 of 2 hosts"} {
		if !strings.Contains(closed.Stdout, words) {
			t.Errorf("set doesn't say %q:\n%s", words, closed.Stdout)
		}
	}
	for _, args := range [][]string{{"fleet", "list", "--json"}, {"get", "--json"}} {
		if got := a.CLI(t, args...).Want(t, 0).Stdout; !strings.Contains(got, `"done": true`) {
			t.Errorf("%s of hosts that are all safe:\n%s", args[0], got)
		}
	}
	for i := range m.hosts {
		if got := m.status(t, i); got != 503 {
			t.Errorf("app-%d answers %d", i+1, got)
		}
		if r := m.receipt(i); !strings.Contains(r, `"order":1,"mode":"offline","outcome":"safe"`) {
			t.Errorf("app-%d: %s", i+1, r)
		}
	}

	sayWho := func() bool {
		for _, h := range m.hosts {
			if got := h.CLI(t, "history").Want(t, 0).Stdout; !strings.Contains(got, " on app-1: online -> offline") || !strings.Contains(got, "(a new version)") {
				return false
			}
		}
		return true
	}
	said := sayWho()

	// Somebody who has the publisher's key, and not the hosts', puts an opening there.
	was := a.Published(t, "demo")
	stolen := strings.NewReplacer(`"order":1`, `"order":2`, `"wanted":"offline"`, `"wanted":"online"`, `"mode":"offline"`, `"mode":"online"`).Replace(was)
	if err := os.WriteFile(a.StatusFile(), []byte(stolen), 0o644); err != nil {
		t.Fatal(err)
	}
	m.wait(t, "app-2 to have read it", func() bool {
		data, _ := os.ReadFile(b.State + "/fleet/demo.json")
		return strings.Contains(string(data), `"wanted": "online"`)
	})
	for i := range m.hosts {
		if got := m.status(t, i); got != 503 {
			t.Errorf("app-%d answers %d by an order that nobody signed", i+1, got)
		}
	}

	opened := b.CLI(t, "set", "online", "--json").Want(t, 0)
	if !strings.Contains(opened.Stdout, `"done": true`) {
		t.Errorf("set online: %s", opened.Stdout)
	}
	for i := range m.hosts {
		if got := m.status(t, i); got != 200 {
			t.Errorf("app-%d answers %d", i+1, got)
		}
	}
	if got := a.Published(t, "demo"); !strings.Contains(got, `"mode":"online"`) || !strings.Contains(got, `"order":2`) {
		t.Errorf("published: %s", got)
	}

	m.agents[1].Kill(t)
	late := a.CLI(t, "set", "offline", "--wait", "1s").Want(t, 4)
	if strings.Contains(late.Stderr, "switch") || strings.Contains(late.Stderr, "hint:") {
		t.Errorf("set with an agent that is dead blames the store:\n%s", late.Stderr)
	}
	if _, names, _ := strings.Cut(late.Stdout, "NOT SAFE: "); !strings.Contains(names, "app-2") || !strings.Contains(late.Stdout, "not heard since") {
		t.Errorf("set with an agent that is dead:\n%s", late.Stdout)
	}
	m.wait(t, "app-1 to be safe all the same", func() bool {
		return strings.Contains(m.receipt(0), `"order":3,"mode":"offline","outcome":"safe"`)
	})
	if got := m.status(t, 0); got != 503 {
		t.Errorf("app-1 answers %d", got)
	}
	m.agents[1] = b.StartFollow(t)
	a.CLI(t, "set", "offline").Want(t, 0)
	told.wants(t, "closed safe", "closed", "closed safe") // by one of the hosts; the thief had told visitors that it was open
	rig.WaitFor(t, "the histories to say who has ordered", func() bool {
		if said {
			return true
		}
		// A host that was quicker than the note of it doesn't say it.
		a.CLI(t, "set", "online").Want(t, 0)
		a.CLI(t, "set", "offline", "--reason", "a new version").Want(t, 0)
		said = sayWho()
		return said
	})
}
