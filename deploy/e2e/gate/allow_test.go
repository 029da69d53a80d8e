package gate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/status"
)

// visits are what somebody asks of the application, with what the application answers.
func visits(h *rig.Single) map[string]rig.Message {
	write := rig.GraphQL(h.URL)
	return map[string]rig.Message{
		"a page": rig.Navigation("/application/1"), "a page, in an old browser": rig.OldNavigation("/application/1"), "the first page": rig.Navigation("/"),
		"a query": write, "a download": {Target: "/server/api/files/1"}, "a WebSocket": rig.Handshake("/websocket/", h.URL), "a login page": rig.Navigation("/login"),
	}
}

// TestAllowedAddresses: while a site without JWT is in admin mode, an address that is let in passes like an
// administrator, with no gate running; nobody else does, whatever headers they send.
func TestAllowedAddresses(t *testing.T) {
	t.Parallel()
	h := rig.NewSingle(t)
	h.Configure(t, rig.Settings{Admin: "[site.admin]\nallow = [\"127.0.0.5\", \"127.0.0.8/30\", \"203.0.113.7\", \"2001:db8::/32\"]"})
	h.Server = "set_real_ip_from 127.0.0.9; real_ip_header X-Forwarded-For;"
	rig.SetOnline(t, h)
	rig.Says(t, h.CLI(t, "set", "admin").Want(t, 0), "demo is admin")
	for _, c := range []struct {
		name, from string
		headers    []string
		passes     bool
	}{
		{"an address that is let in", "127.0.0.5", nil, true},
		{"one of a network", "127.0.0.10", nil, true},
		{"its neighbour", "127.0.0.4", nil, false},
		{"this machine itself", "127.0.0.1", nil, false},
		{"one outside the network", "127.0.0.12", nil, false},

		{"realip says who it is", "127.0.0.9", []string{"X-Forwarded-For: 203.0.113.7"}, true},
		{"in IPv6", "127.0.0.9", []string{"X-Forwarded-For: 2001:db8::5"}, true},
		{"the last of several", "127.0.0.9", []string{"X-Forwarded-For: 198.51.100.1, 203.0.113.7"}, true},
		{"realip says that it is another", "127.0.0.9", []string{"X-Forwarded-For: 203.0.113.8"}, false},
		{"made up before it came to the proxy", "127.0.0.9", []string{"X-Forwarded-For: 203.0.113.7, 198.51.100.1"}, false},
		{"realip can't read it", "127.0.0.9", []string{"X-Forwarded-For: unknown"}, false},
		{"as a proxy that is let in itself", "127.0.0.9", []string{"Forwarded: for=203.0.113.8"}, false},

		{"made up", "127.0.0.4", []string{"X-Forwarded-For: 127.0.0.5"}, false},
		{"made up otherwise", "127.0.0.4", []string{"X-Real-IP: 127.0.0.5", "Forwarded: for=127.0.0.5", "Client-IP: 127.0.0.5"}, false},
		{"made up for the rules", "127.0.0.4", []string{"X-Forwarded-For: ,demo,||127.0.0.5|127.0.0.9"}, false},
		{"by a proxy that realip doesn't know", "127.0.0.10", []string{"X-Forwarded-For: 198.51.100.1"}, false},
		{"by another", "127.0.0.5", []string{"X-Real-IP: 198.51.100.1"}, false},
		{"by one that says so otherwise", "127.0.0.5", []string{"Forwarded: for=198.51.100.1"}, false},
		{"by one, who makes something up", "127.0.0.5", []string{"X-Forwarded-For: x|127.0.0.5|127.0.0.6"}, false},
	} {
		client := h.Client()
		client.From = c.from
		for what, m := range visits(h) {
			n := h.App.Count()
			r := client.Do(t, m.With(c.headers...))
			reached := h.App.Count() > n
			if reached != c.passes || c.passes && r.Status != 200 && r.Status != 101 || !c.passes && r.Status != 302 && r.Status != 503 {
				t.Errorf("%s (%s), %s: %d, reached the application: %v", c.name, c.from, what, r.Status, reached)
			}
		}
	}
	// A passer-by is shut out with everybody else while the closed file is there.
	let := h.Client()
	let.From = "127.0.0.5"
	shut := func(when string) {
		t.Helper()
		n := h.App.Count()
		for what, m := range visits(h) {
			if r := let.Do(t, m); r.Status != 302 && r.Status != 503 {
				t.Errorf("%s, %s: %d", when, what, r.Status)
			}
		}
		if h.App.Count() != n {
			t.Errorf("%s: it reached the application", when)
		}
	}
	rig.WriteFile(t, h.ClosedFile(), "")
	shut("with the closed file")
	if err := os.Remove(h.ClosedFile()); err != nil {
		t.Fatal(err)
	}
	h.CLI(t, "set", "offline").Want(t, 0)
	shut("offline")
	// An nginx that believes anybody lets nobody in.
	h.CLI(t, "set", "offline").Want(t, 0)
	h.Server = "set_real_ip_from 127.0.0.9;\n        set_real_ip_from 0.0.0.0/0; real_ip_header X-Forwarded-For;"
	h.WriteNginx(t)
	r := h.CLI(t, "set", "admin").Want(t, 1)
	rig.Says(t, r, "nginx.conf:", "has nginx believe anybody about their address", "hint: ")
	rig.Says(t, h.CLI(t, "doctor", "--verbose"), "has nginx believe anybody about their address")
	h.Server = ""
	h.WriteNginx(t)
	// Without the list nobody is let in, and that is no fault of the site's.
	h.CLI(t, "set", "admin").Want(t, 0)
	h.Configure(t, rig.Settings{Admin: "[site.admin]\nallow = []"})
	h.CLI(t, "reconcile").Want(t, 0)
	shut("once it is taken out of the configuration")
	r = h.CLI(t, "set", "admin").Want(t, 2)
	rig.Says(t, r, "site demo lets nobody in while in admin mode", "hint: name who is let in")
	// A wrong list keeps nobody from closing.
	h.Configure(t, rig.Settings{Admin: "[site.admin]\nallow = [\"127.0.0.5/8\"]"})
	rig.Says(t, h.CLI(t, "set", "admin").Want(t, 2), "has bits beyond its mask", "hint: ")
	rig.Says(t, h.CLI(t, "set", "offline").Want(t, 0), "warning: ", "has bits beyond its mask")
	h.CLI(t, "set", "online").Want(t, 0)
	rig.Agreed(t, h, status.Online)
}

// TestPassWithoutJWT: a site without JWT has passes by a key of its own, which nobody else may read.
func TestPassWithoutJWT(t *testing.T) {
	t.Parallel()
	h := rig.NewSingle(t)
	h.Configure(t, rig.Settings{Admin: "[site.admin]"})
	rig.SetOnline(t, h)
	gate := h.StartGate(t)
	key := filepath.Join(h.State, "keys", "demo")
	rig.Says(t, h.CLI(t, "set", "admin").Want(t, 2), "lets nobody in", "conforma-status secret init")
	rig.Says(t, h.CLI(t, "secret", "init").Want(t, 0), "demo: wrote a key for its passes to "+key)
	was, err := os.ReadFile(key)
	if info, _ := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key: %v, %v", info, err)
	}
	rig.Says(t, h.CLI(t, "secret", "init").Want(t, 0), "there is a good key for its passes")
	if now, err := os.ReadFile(key); err != nil || string(now) != string(was) {
		t.Errorf("it was replaced: %v", err)
	}
	h.CLI(t, "set", "admin").Want(t, 0)
	enters := func(secret string) (cookie string) {
		t.Helper()
		r := h.Client().Do(t, enter(h.Blocks[0], secret))
		pair, _, _ := strings.Cut(r.Header.Get("Set-Cookie"), "; ")
		if r.Status != 204 {
			t.Errorf("entered with %d", r.Status)
		}
		return "Cookie: " + pair
	}
	_, secret, _ := makePass(t, h.Host, "demo")
	cookie := enters(secret)
	for what, m := range visits(h) {
		if r := h.Client().Do(t, m.With(cookie, "Authorization: Basic YTpi")); r.Status != 200 && r.Status != 101 {
			t.Errorf("%s with a pass: %d", what, r.Status)
		}
		n := h.App.Count()
		for _, header := range []string{"X-None: none", "Authorization: Bearer " + rig.AdminToken(strings.TrimSpace(string(was))), "Authorization: Bearer " + rig.AdminToken(h.Blocks[0].Secret), "Cookie: conforma-status-demo=1.2"} {
			if r := h.Client().Do(t, m.With(header)); r.Status != 302 && r.Status != 503 || h.App.Count() != n {
				t.Errorf("%s with %s: %d", what, header, r.Status)
			}
		}
	}
	// A key that others can read is none, to the command and to the gate.
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	rig.Says(t, h.CLI(t, "pass").Want(t, 2), "the file with the secret is open to every user of this machine", "hint: chmod o= "+key)
	if r := h.Client().Do(t, enter(h.Blocks[0], secret)); r.Status == 204 {
		t.Error("the gate goes by a key that others can read")
	}
	rig.Says(t, h.CLI(t, "doctor"), "open to every user", "chmod o= "+key)
	if err := os.Chmod(key, 0o600); err != nil {
		t.Fatal(err)
	}
	enters(secret)
	// Without it, and after a first pass has made another, no pass of before is good.
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if r := h.Client().Do(t, rig.Navigation("/").With(cookie)); r.Status != 302 {
		t.Errorf("without a key: %d", r.Status)
	}
	rig.Says(t, h.CLI(t, "pass").Want(t, 0), "demo has a key for its passes from now on")
	if r := h.Client().Do(t, rig.Navigation("/").With(cookie)); r.Status != 302 {
		t.Errorf("with another key: %d", r.Status)
	}
	_, secret, _ = makePass(t, h.Host, "demo")
	enters(secret)
	if said := gate.Output(t); strings.Contains(said, secret) || strings.Contains(said, strings.TrimSpace(string(was))) {
		t.Errorf("the gate's log has a secret:\n%s", said)
	}
}
