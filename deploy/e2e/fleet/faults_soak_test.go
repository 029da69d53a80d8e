//go:build soak

package fleet

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestSoakFleetFaults: the stores away, a host that boots, one that can't open, a machine that was copied, one that is
// gone.
func TestSoakFleetFaults(t *testing.T) {
	t.Parallel()
	m := newMembers(t, 2)
	m.follow(t)
	a, b := m.hosts[0], m.hosts[1]
	a.CLI(t, "set", "online").Want(t, 0)
	if got := b.CLI(t, "get").Want(t, 0); !strings.Contains(got.Stdout, "app-1") || !strings.Contains(got.Stdout, "app-2") {
		t.Errorf("get has no row for each host:\n%s", got.Stdout)
	}

	// The stores are away: this host alone is closed, and it becomes an order once they are back.
	away := func(is bool) {
		for _, dir := range []string{a.Store, m.private} {
			from, to := dir, dir+".away"
			if !is {
				from, to = to, from
			}
			rig.Check(t, os.Rename(from, to))
		}
	}
	away(true)
	alone := a.CLI(t, "set", "offline", "--message", "alone").Want(t, 4)
	if !strings.Contains(alone.Stderr, "nobody else is told") {
		t.Errorf("with the stores away:\n%s%s", alone.Stdout, alone.Stderr)
	}
	if !strings.HasSuffix(alone.Stdout, "NOT SAFE: this host alone is closed; it becomes an order once the store can be reached, unless somebody orders something newer\n") ||
		strings.Contains(alone.Stdout, "safe to take") {
		t.Errorf("it says\n%s", alone.Stdout)
	}
	if again := a.CLI(t, "set", "offline", "--json").Want(t, 4).Stdout; !strings.Contains(again, `"outcome": "shut"`) || !strings.Contains(again, `"safeSince": null`) {
		t.Errorf("in JSON it is\n%s", again)
	}
	if got := a.CLI(t, "get").Want(t, 5).Stdout; !strings.Contains(got, "  ordered    it can't be read what is ordered\n") || !strings.Contains(got, "  published  it can't be read\n") {
		t.Errorf("get says\n%s", got)
	}
	if m.status(t, 0) != 503 || m.status(t, 1) != 200 {
		t.Errorf("app-1 answers %d, app-2 %d", m.status(t, 0), m.status(t, 1))
	}
	a.CLI(t, "set", "online").Want(t, 1)
	away(false)
	m.wait(t, "it to be an order", func() bool { return m.status(t, 1) == 503 })
	if got := a.Published(t, "demo"); !strings.Contains(got, `"message":"alone"`) || !strings.Contains(got, `"mode":"offline"`) {
		t.Errorf("published: %s", got)
	}
	a.CLI(t, "set", "online").Want(t, 0)

	// A host boots while the stores are away: it is shut, and says so to the balancer, until it has read the order.
	away(true)
	m.agents[1].Kill(t)
	b.Nginx.Stop(t)
	b.CLI(t, "reconcile")
	b.Nginx.Start(t)
	m.agents[1] = b.StartFollow(t)
	if got := m.status(t, 1); got != 503 {
		t.Errorf("a host that begins answers %d", got)
	}
	if got := b.Client().Get(t, "/.conforma-status/health").Status; got != 503 {
		t.Errorf("a host that begins is said to be healthy: %d", got)
	}
	away(false)
	m.wait(t, "it to open", func() bool { return m.status(t, 1) == 200 })
	if got := b.Client().Get(t, "/.conforma-status/health").Status; got != 200 {
		t.Errorf("a host that is open is said to be %d", got)
	}

	// One can't open: the others do, it is named, and visitors are told that the site is closed.
	a.CLI(t, "set", "offline").Want(t, 0)
	broken := b.Enabled("broken.conf")
	rig.WriteFile(t, broken, "nonsense;\n")
	half := a.CLI(t, "set", "online", "--wait", "20s").Want(t, 4)
	if !strings.Contains(half.Stdout, "NOT OPEN: app-2; visitors are told offline") {
		t.Errorf("with an nginx that is broken:\n%s", half.Stdout)
	}
	if m.status(t, 0) != 200 || m.status(t, 1) != 503 {
		t.Errorf("app-1 answers %d, app-2 %d", m.status(t, 0), m.status(t, 1))
	}
	if got := a.CLI(t, "fleet", "list").Want(t, 5); !strings.Contains(got.Stdout, "failed") {
		t.Errorf("fleet list:\n%s", got.Stdout)
	}
	rig.Check(t, os.Remove(broken))
	a.CLI(t, "set", "online").Want(t, 0)

	// One can't take up the rules of a closing: all let nobody in, it is named, and nothing is called safe.
	rig.WriteFile(t, broken, "nonsense;\n")
	if closed := a.CLI(t, "set", "offline", "--wait", "20s").Want(t, 4); !strings.Contains(closed.Stdout, "NOT SAFE: app-2\n") {
		t.Errorf("with an nginx that is broken:\n%s", closed.Stdout)
	}
	if m.status(t, 0) != 503 || m.status(t, 1) != 503 {
		t.Errorf("app-1 answers %d, app-2 %d", m.status(t, 0), m.status(t, 1))
	}
	rig.Check(t, os.Remove(broken))
	m.agents[1].Kill(t) // one that begins tries at once
	m.agents[1] = b.StartFollow(t)
	a.CLI(t, "set", "offline").Want(t, 0)
	a.CLI(t, "set", "online").Want(t, 0)

	// A machine that was copied from another's disk: it is shut, and doesn't disturb the other.
	copied := m.newHost(t, "app-2")
	rig.Check(t, os.RemoveAll(copied.State))
	rig.Check(t, exec.Command("cp", "-a", b.State, copied.State).Run())
	agent := copied.StartFollow(t)
	m.wait(t, "the copy to find out", func() bool { return strings.Contains(agent.Output(t), "another machine has this host's name") })
	m.wait(t, "the copy to be shut", func() bool {
		_, err := os.Stat(filepath.Join(copied.State, "sites", "demo", "closed"))
		return err == nil
	})
	agent.Kill(t)
	if got := copied.CLI(t, "doctor").Want(t, 5); !strings.Contains(got.Stdout, "another machine is app-2") {
		t.Errorf("the doctor of the copy:\n%s", got.Stdout)
	}
	a.CLI(t, "set", "offline").Want(t, 0)

	// One that is gone is waited for until it is forgotten.
	m.agents[1].Kill(t)
	b.Nginx.Stop(t)
	a.CLI(t, "set", "online", "--wait", "1s").Want(t, 4)
	a.CLI(t, "fleet", "forget", "app-2").Want(t, 2)
	a.CLI(t, "fleet", "forget", "app-2", "--confirm-off").Want(t, 0)
	a.CLI(t, "fleet", "forget", "app-2", "--confirm-off").Want(t, 1)
	a.CLI(t, "set", "online").Want(t, 0)
	a.CLI(t, "run", "--mode", "offline", "--", "true").Want(t, 0)
	if got := m.status(t, 0); got != 200 {
		t.Errorf("after a run app-1 answers %d", got)
	}
	opened := fmt.Sprintf("%s --config %s set online >&2", rig.Binary(t), a.Config)
	rig.Says(t, a.CLI(t, "run", "--mode", "offline", "--", "sh", "-c", opened).Want(t, 1), "demo was opened meanwhile", "hint: requests reached the application")
	rig.Says(t, a.CLI(t, "run", "--mode", "offline", "--", "sh", "-c", strings.Replace(opened, "online", "offline", 1)).Want(t, 1), "somebody else has set its mode since", "hint: it stays closed")
}

// TestSoakFleetPasses: a pass that was made on one host lets in on another, and the cookie that it gives there lets
// in on the first, until the passes are revoked.
func TestSoakFleetPasses(t *testing.T) {
	t.Parallel()
	m := newMembers(t, 2)
	m.follow(t)
	a, b := m.hosts[0], m.hosts[1]
	a.StartGate(t)
	b.StartGate(t)
	a.CLI(t, "set", "admin").Want(t, 0)
	const target = "/.conforma-status/pass"
	_, secret, _ := strings.Cut(strings.TrimSpace(a.CLI(t, "pass").Want(t, 0).Stdout), target+"#")
	secret, _, _ = strings.Cut(secret, "\n")
	enter := rig.Fetch(target, "http://"+b.Client().Host).With("Content-Type: text/plain;charset=UTF-8")
	enter.Method, enter.Body = "POST", secret
	r := b.Client().Do(t, enter)
	pair, _, _ := strings.Cut(r.Header.Get("Set-Cookie"), ";")
	if r.Status != 204 || pair == "" {
		t.Fatalf("app-2 answers a pass of app-1 by %d %v", r.Status, r.Header)
	}
	visit := rig.Navigation("/application/1").With("Cookie: " + pair)
	for i, h := range m.hosts {
		if got := h.Client().Do(t, visit).Status; got != 200 {
			t.Errorf("app-%d answers the cookie of app-2 by %d", i+1, got)
		}
	}
	if got := b.CLI(t, "pass", "--revoke", "--json").Want(t, 0).Stdout; !json.Valid([]byte(got)) || !strings.Contains(got, `"revoked": true`) {
		t.Errorf("revoked: %s", got)
	}
	for i, h := range m.hosts {
		if got := h.Client().Do(t, visit).Status; got == 200 {
			t.Errorf("app-%d still lets the pass in", i+1)
		}
	}
}
