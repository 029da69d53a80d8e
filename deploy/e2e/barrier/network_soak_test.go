//go:build soak

package barrier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/mdlayher/netlink"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// within is a network with nginx and the application of the host in it.
type within struct {
	*rig.Network
	h   *host
	app *http.Server
}

func (h *host) startWithin(t *testing.T) *within {
	t.Helper()
	n := &within{Network: rig.NewNetwork(t), h: h, app: &http.Server{Handler: h.App.Handler()}}
	var l net.Listener
	rig.Check(t, n.Within(func() (err error) {
		l, err = net.Listen("tcp4", rig.Loopback(h.App.Port))
		return err
	}))
	go n.app.Serve(l)
	h.Nginx.StartWithin(t, n.Network)
	return n
}

// goes ends the network: nobody is left in it.
func (n *within) goes(t *testing.T) {
	t.Helper()
	n.app.Close()
	n.h.Nginx.Kill(t)
	n.Network.End(t)
}

// get asks the site from the network, and returns what came of it.
func (n *within) get(t *testing.T) (status, reached int) {
	t.Helper()
	before := n.h.App.Count()
	r, err := n.Client().Get(n.h.URL + "/")
	rig.Check(t, err)
	r.Body.Close()
	return r.StatusCode, n.h.App.Count() - before
}

// TestSoakNetworkThatGoes takes nginx's network namespace away while its site is closed, and while it closes: the
// table goes with it. Nothing opens, the command says that it can't tell, and the next one has it back where nginx is.
func TestSoakNetworkThatGoes(t *testing.T) {
	t.Parallel()
	rig.NeedBarrier(t)
	h := newHost(t)
	h.CLI(t, "render").Want(t, 0)
	h.WriteNginx(t)
	n := h.startWithin(t)
	// again has nginx come back in another network, where the site is to be shut, and nothing else is known.
	again := func(code int, command ...string) { // code is that of get: whether the barrier is on record, and so missed
		t.Helper()
		n = h.startWithin(t)
		if status, reached := n.get(t); status != 503 || reached != 0 {
			t.Errorf("in the next network: %d, and %d requests reach the application", status, reached)
		}
		if v := h.view(t, "demo", code); v.Kernel.Barrier || v.Wanted.SafeSince != nil {
			t.Errorf("in the next network, get says %+v", v)
		}
		back := time.Now()
		h.CLI(t, command...).Want(t, 0)
		v := h.view(t, "demo", 0)
		if !v.Kernel.Barrier || !v.Live.Closed || v.Wanted.SafeSince == nil || v.Wanted.SafeSince.Before(back.Add(-time.Millisecond)) {
			t.Errorf("back at %v, and after %v get says %+v", back, command, v)
		}
		if status, reached := n.get(t); status != 503 || reached != 0 {
			t.Errorf("after %v: %d, and %d requests reach the application", command, status, reached)
		}
	}

	if got := receiptOf(t, h.CLI(t, "set", "offline", "--json").Want(t, 0)); !got.Barrier {
		t.Fatalf("closed without the barrier: %+v", got)
	}
	n.goes(t)
	h.CLI(t, "reconcile").Want(t, 0) // as at boot, before nginx starts
	for _, argv := range [][]string{{"set", "offline", "--reason", "again"}, {"set", "online"}} {
		if r := h.CLI(t, argv...); r.Code == 0 || !strings.Contains(r.Stderr, "nginx is not running") {
			t.Errorf("%v where there is no network: exit code %d, %s", argv, r.Code, r.Stderr)
		}
		if _, err := os.Stat(h.ClosedFile()); err != nil {
			t.Errorf("%v where there is no network: %v", argv, err)
		}
	}
	again(5, "reconcile")

	h.CLI(t, "set", "online").Want(t, 0)
	if status, reached := n.get(t); status != 200 || reached != 1 {
		t.Fatalf("online: %d, and %d requests reach the application", status, reached)
	}
	upload, err := n.Dial(t.Context(), rig.Loopback(h.Blocks[0].Port))
	rig.Check(t, err)
	_, err = io.WriteString(upload, "POST / HTTP/1.1\r\nHost: demo\r\nContent-Length: 10\r\n\r\nhalf")
	rig.Check(t, err)
	closing := h.Start(t, rig.Call{Args: []string{"set", "offline", "--drain", "1h", "--json"}})
	rig.WaitFor(t, "the closing to wait for the upload", func() bool {
		journal, err := os.ReadFile(h.State + "/journal")
		return err == nil && strings.Contains(string(journal), `"step":"drain"`)
	})
	upload.Close()
	n.goes(t)
	r := closing.Wait(t)
	if got := receiptOf(t, r); r.Code != 4 || got.SafeSince != nil || got.Barrier || !strings.Contains(got.NoBarrier, "the network namespace is gone") {
		t.Errorf("its network went during the closing: exit code %d, %+v", r.Code, got)
	}
	again(0, "set", "offline") // as where anything else was left
}

// TestSoakLateAnswers closes and opens a site while somebody else loads tens of thousands of elements again and again:
// the kernel lets one change its rules at a time, so that it answers us late.
func TestSoakLateAnswers(t *testing.T) {
	t.Parallel()
	rig.NeedBarrier(t)
	h := newHost(t)
	h.CLI(t, "render").Want(t, 0)
	hole := rig.Loopback(rig.Port(t))
	rig.WriteFile(t, h.Enabled("shape.conf"), h.words("server { listen "+hole+"; location / { proxy_pass http://127.0.0.1:APP; } }\n"))
	h.WriteNginx(t)
	n := h.startWithin(t)
	var loads, took atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- n.Within(func() error {
			for ctx.Err() == nil {
				began := time.Now()
				if err := hugeLoad(); err != nil {
					return err
				}
				took.Add(int64(time.Since(began)))
				loads.Add(1)
			}
			return nil
		})
	}()
	for range 5 {
		at := loads.Load()
		rig.WaitFor(t, "a load", func() bool {
			select {
			case err := <-ended:
				t.Fatal(err)
			default:
			}
			return loads.Load() > at
		})
		r := h.CLI(t, "set", "offline", "--json")
		got := receiptOf(t, r)
		switch {
		case got.Barrier && r.Code == 0 && got.SafeSince != nil: // it has waited
		case !got.Barrier && got.NoBarrier != "" && (r.Code == 0 || r.Code == 4): // it says what it hasn't got
		default:
			t.Errorf("exit code %d, %+v", r.Code, got)
		}
		if status, reached := n.get(t); status != 503 || reached != 0 {
			t.Errorf("closed: %d, and %d requests reach the application", status, reached)
		}
		before := h.App.Count()
		past, err := n.Client().Get("http://" + hole + "/")
		rig.Check(t, err)
		past.Body.Close()
		if got.Barrier && (past.StatusCode != 502 || h.App.Count() != before) {
			t.Errorf("past the site's rules: %d, and %d requests reach the application", past.StatusCode, h.App.Count()-before)
		}
		h.CLI(t, "set", "online").Want(t, 0)
		if status, _ := n.get(t); status != 200 {
			t.Errorf("opened: %d", status)
		}
		t.Logf("barrier %v, %d loads meanwhile", got.Barrier, loads.Load()-at)
	}
	stop()
	rig.Check(t, <-ended)
	t.Logf("%d loads of %v each", loads.Load(), time.Duration(took.Load()/max(loads.Load(), 1)))
}

// hugeLoad is one transaction that makes a table with 50,000 elements and deletes it.
func hugeLoad() error {
	c, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(s *netlink.Conn) error {
		return errors.Join(s.SetWriteBuffer(16<<20), s.SetReadBuffer(16<<20)) // the kernel takes it in one piece
	}))
	if err != nil {
		return err
	}
	defer c.CloseLasting()
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "huge"})
	set := &nftables.Set{Table: table, Name: "all", KeyType: nftables.TypeIPAddr}
	if err := c.AddSet(set, nil); err != nil {
		return err
	}
	for part := range 100 {
		var elements []nftables.SetElement
		for i := range 500 {
			elements = append(elements, nftables.SetElement{Key: binaryutil.BigEndian.PutUint32(uint32(part*500 + i))})
		}
		if err := c.SetAddElements(set, elements); err != nil {
			return err
		}
	}
	c.DelTable(table)
	if err := c.Flush(); err != nil {
		return fmt.Errorf("a huge load: %w", err)
	}
	return nil
}
