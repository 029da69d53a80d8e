package barrier

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers/barrier"
)

// powerless runs conforma-status as a root that can't change the kernel's packet filter.
func powerless(args ...string) rig.Call {
	return rig.Call{Before: []string{"setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"}, Args: args}
}

// second adds a site "second" with the application of the first. Either has the lines in config.toml.
func (h *host) second(t *testing.T, lines string) {
	t.Helper()
	at := rig.Loopback(rig.Port(t))
	config, err := os.ReadFile(h.Config)
	rig.Check(t, err)
	text := strings.ReplaceAll(string(config), "\ngrace ", "\n"+lines+"\ngrace ")
	i := strings.Index(text, "[[site]]")
	other := strings.NewReplacer(`"demo"`, `"second"`, h.URL, "http://"+at, rig.Loopback(h.Blocks[0].Port), at).Replace(text[i:])
	rig.WriteFile(t, h.Config, text+"\n"+other)
	rig.WriteFile(t, h.Enabled("second.conf"), fmt.Sprintf("server { include %s; listen %s; location / { proxy_pass http://%s; } }\n", h.SiteFile("second"), at, rig.Loopback(h.App.Port)))
}

// otherTable has the kernel's packet filter have somebody else's table of that name. It refuses the port to
// everybody, before our own table is asked.
func otherTable(t *testing.T, name string, port int) {
	t.Helper()
	c, err := nftables.New()
	rig.Check(t, err)
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: name})
	before := nftables.ChainPriorityRef(*nftables.ChainPriorityRaw - 10)
	chain := c.AddChain(&nftables.Chain{Table: table, Name: "out", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookOutput, Priority: before})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Register: 1, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Register: 1, Data: binaryutil.BigEndian.PutUint16(uint16(port))},
		&expr.Reject{Type: unix.NFT_REJECT_TCP_RST},
	}})
	rig.Check(t, c.Flush())
	t.Cleanup(func() {
		c.DelTable(table)
		rig.Check(t, c.Flush())
	})
}

// flush takes our table out of the kernel, as "nft flush ruleset" does.
func (h *host) flush(t *testing.T) {
	t.Helper()
	rig.Check(t, barrier.Barrier{StateDir: h.State}.Remove(context.Background(), 0))
}

// view is what these tests read of "get --json".
type view struct {
	Mode   string
	Wanted struct{ SafeSince *time.Time }
	Live   struct{ Closed bool }
	Kernel struct {
		Barrier bool
		Tried   *struct{ Nginx, Outside int }
	}
	Drift []string
}

func (h *host) view(t *testing.T, site string, code int) view {
	t.Helper()
	r := h.CLI(t, "get", "--site", site, "--json").Want(t, code)
	var doc struct{ Sites []view }
	if err := json.Unmarshal([]byte(r.Stdout), &doc); err != nil || len(doc.Sites) != 1 {
		t.Fatalf("get: %v\n%s\n%s", err, r.Stdout, r.Stderr)
	}
	return doc.Sites[0]
}

// traces are the files that say that a change was begun.
func (h *host) traces() []string {
	var out []string
	for _, pattern := range []string{"state/sites/*/closed", "state/journal*", "state/barrier.json", "state/records/*", "store/*/status.json"} {
		found, _ := filepath.Glob(filepath.Join(h.Nginx.Dir, pattern)) // our own patterns
		out = append(out, found...)
	}
	return out
}

// TestWhereTheBarrierCantBeHad closes a site on hosts that haven't got the barrier: where it is required nothing is
// touched, and else the receipt says why there is none. What is missing is named either way.
func TestWhereTheBarrierCantBeHad(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		host  func(t *testing.T, h *host)
		call  rig.Call
		names string
		code  int // where it isn't required
	}{
		{name: "without CAP_NET_ADMIN", call: powerless(), names: "CAP_NET_ADMIN"},
		{name: "somebody else's table", host: func(t *testing.T, h *host) {
			otherTable(t, barrier.Name(h.State), 1)
		}, names: "a table of that name is somebody else's"},
		{name: "a unix socket", host: func(t *testing.T, h *host) {
			h.EditConfig(t, fmt.Sprintf("upstreams = [%q", rig.Loopback(h.App.Port)), fmt.Sprintf("upstreams = [\"unix:%s/app.sock\", %q", h.Nginx.Dir, rig.Loopback(h.App.Port)))
		}, names: "unix socket"},
		{name: "an upstream that an open site shares", host: func(t *testing.T, h *host) { h.second(t, "shared_upstream = true") }, names: "share"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rig.NeedBarrier(t)
			h := newHost(t)
			if tt.host != nil {
				tt.host(t, h)
			}
			h.EditConfig(t, "store ", "barrier = \"required\"\nstore ")
			h.Install(t)
			before := h.traces()
			set := tt.call
			set.Args = []string{"set", "offline", "--site", "demo", "--json"}
			if r := h.Call(t, set).Want(t, 1); !strings.Contains(r.Stderr, "the kernel barrier is required") || !strings.Contains(r.Stderr, tt.names) {
				t.Errorf("it doesn't say what is missing: %s", r.Stderr)
			}
			if now := h.traces(); len(now) != len(before) {
				t.Errorf("it touched something: there are %q, there were %q", now, before)
			}
			h.answers(t, "/")
			h.EditConfig(t, `"required"`, `"auto"`)
			got := receiptOf(t, h.Call(t, set).Want(t, tt.code))
			if got.Barrier || !strings.Contains(got.NoBarrier, tt.names) {
				t.Errorf("the receipt doesn't say that there is no barrier, and why: %+v", got)
			}
			if v := h.view(t, "demo", 0); v.Kernel.Barrier {
				t.Errorf("get says that there is a barrier: %+v", v)
			}
			h.CLI(t, "set", "online", "--site", "demo").Want(t, 0)
			h.answers(t, "/")
		})
	}
}

// TestBarrierThatIsLost takes the table away while a site is closed.
func TestBarrierThatIsLost(t *testing.T) {
	t.Parallel()
	rig.NeedBarrier(t)
	h := newHost(t)
	h.Install(t)
	h.CLI(t, "set", "offline").Want(t, 0)
	was := h.view(t, "demo", 0)
	if !was.Kernel.Barrier || was.Wanted.SafeSince == nil {
		t.Fatalf("it is closed, and get says %+v", was)
	}
	h.flush(t)
	v := h.view(t, "demo", 5)
	if v.Kernel.Barrier || !strings.Contains(strings.Join(v.Drift, " "), "kernel barrier") {
		t.Errorf("it is lost, and get says %+v", v)
	}
	if v.Wanted.SafeSince != nil {
		t.Errorf("it is lost, and get says that it is safe since %v", v.Wanted.SafeSince)
	}
	lost := time.Now()
	h.CLI(t, "reconcile").Want(t, 0)
	v = h.view(t, "demo", 0)
	if !v.Kernel.Barrier || !v.Live.Closed || v.Wanted.SafeSince == nil || v.Wanted.SafeSince.Before(lost.Add(-time.Millisecond)) {
		t.Errorf("it was lost at %v, and after reconcile get says %+v", lost, v)
	}
	// Once more, and it can't be had again.
	h.EditConfig(t, "store ", "barrier = \"required\"\nstore ")
	h.flush(t)
	if r := h.Call(t, powerless("reconcile")); r.Code == 0 || !strings.Contains(r.Stderr, "CAP_NET_ADMIN") {
		t.Errorf("reconcile can't have it back: exit code %d, %s", r.Code, r.Stderr)
	}
	if v := h.view(t, "demo", 5); v.Wanted.SafeSince != nil || !v.Live.Closed {
		t.Errorf("it is lost, and get says %+v", v)
	}
	h.CLI(t, "reconcile").Want(t, 0)
	// And once more, where it can be had again, and isn't proven.
	h.flush(t)
	otherTable(t, fmt.Sprintf("rig_%d", h.App.Port), h.App.Port)
	if r := h.CLI(t, "reconcile").Want(t, 4); !strings.Contains(r.Stderr, "the kernel barrier is required") {
		t.Errorf("it doesn't say what is missing: %s", r.Stderr)
	}
	if v := h.view(t, "demo", 0); v.Kernel.Barrier || v.Wanted.SafeSince != nil || !v.Live.Closed {
		t.Errorf("it isn't proven, and get says %+v", v)
	}
}

// TestReboot starts a machine anew: the packet filter is empty, and nginx isn't there yet.
func TestReboot(t *testing.T) {
	t.Parallel()
	rig.NeedBarrier(t)
	h := newHost(t)
	h.Install(t)
	h.CLI(t, "set", "offline").Want(t, 0)
	was := h.view(t, "demo", 0)
	h.Nginx.Stop(t)
	h.flush(t)
	h.CLI(t, "reconcile").Want(t, 0)
	told := struct{ Rules barrier.Rules }{}
	data, err := os.ReadFile(filepath.Join(h.State, "barrier.json"))
	rig.Check(t, err)
	rig.Check(t, json.Unmarshal(data, &told))
	if seen, err := (barrier.Barrier{StateDir: h.State}).Look(t.Context(), 0, told.Rules); err != nil || !seen.There || seen.Less {
		t.Errorf("nginx starts, and the table is %+v, %v", seen, err)
	}
	// Whatever its rules do, nginx can't reach the application when it starts.
	rig.WriteFile(t, h.Enabled("shape.conf"), h.words(fmt.Sprintf("server { listen %s; location / { proxy_pass http://127.0.0.1:APP; } }\n", rig.Loopback(rig.Port(t)))))
	h.Nginx.Start(t)
	n := h.App.Count()
	h.CLI(t, "reconcile").Want(t, 0)
	if now := h.view(t, "demo", 0); !now.Kernel.Barrier || now.Wanted.SafeSince == nil || !now.Wanted.SafeSince.Equal(*was.Wanted.SafeSince) {
		t.Errorf("before the machine started anew get said %+v, and now %+v", was, now)
	}
	if h.App.Count() != n {
		t.Error("something reached the application")
	}
}

// TestFirstRelease has a site that was closed before there was a barrier get its own.
func TestFirstRelease(t *testing.T) {
	t.Parallel()
	rig.NeedBarrier(t)
	h := newHost(t)
	h.NoBarrier(t)
	h.Install(t)
	h.CLI(t, "set", "offline").Want(t, 0)
	was := h.view(t, "demo", 0)
	h.EditConfig(t, "barrier = \"off\"\n", "")
	h.CLI(t, "reconcile").Want(t, 0)
	now := h.view(t, "demo", 0)
	if was.Kernel.Barrier || !now.Kernel.Barrier || !now.Live.Closed || now.Wanted.SafeSince == nil || !now.Wanted.SafeSince.Equal(*was.Wanted.SafeSince) {
		t.Errorf("get said %+v, and after reconcile %+v", was, now)
	}
	h.CLI(t, "reconcile").Want(t, 0)
	h.CLI(t, "set", "online").Want(t, 0)
	h.answers(t, "/")
}

// TestSharedUpstream has two sites before one application.
func TestSharedUpstream(t *testing.T) {
	t.Parallel()
	rig.NeedBarrier(t)
	h := newHost(t)
	h.second(t, "")
	h.Install(t)
	// Closed in one command, they are not each other's holes.
	for _, got := range receiptsOf(t, h.CLI(t, "set", "offline", "--all", "--json").Want(t, 0)) {
		if !got.Barrier || got.SafeSince == nil || len(got.Warnings) > 0 {
			t.Errorf("closed together: %+v", got)
		}
	}
	got := receiptOf(t, h.CLI(t, "set", "online", "--site", "second", "--json").Want(t, 0))
	if !got.warns("demo has no kernel barrier any more, and is not known to be safe") {
		t.Errorf("it isn't said what becomes of the other: %+v", got)
	}
	if v := h.view(t, "demo", 0); v.Kernel.Barrier || v.Wanted.SafeSince != nil || !v.Live.Closed {
		t.Errorf("the other is open, and get says %+v", v)
	}
	h.CLI(t, "set", "online", "--site", "demo").Want(t, 0)
	// By itself the other one is a hole, unless it is known to live behind the same address.
	h.CLI(t, "set", "offline", "--site", "demo").Want(t, 1)
	h.EditConfig(t, "\ngrace ", "\nshared_upstream = true\ngrace ")
	got = receiptOf(t, h.CLI(t, "set", "offline", "--site", "demo", "--json").Want(t, 0))
	if got.Barrier || !strings.Contains(got.NoBarrier, "share") {
		t.Errorf("the other is open, and the receipt says %+v", got)
	}
	got = receiptOf(t, h.CLI(t, "set", "offline", "--site", "second", "--json").Want(t, 0))
	if !got.Barrier || got.NoBarrier != "" || got.SafeSince == nil {
		t.Errorf("the other was closed before, without a barrier, and the receipt says %+v", got)
	}
	for _, site := range []string{"demo", "second"} {
		if v := h.view(t, site, 0); !v.Kernel.Barrier {
			t.Errorf("both are closed, and get says of %s %+v", site, v)
		}
	}
	h.CLI(t, "set", "online", "--all").Want(t, 0)
	h.answers(t, "/")
}
