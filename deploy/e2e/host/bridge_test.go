package host

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// pump asks the site again and again until stop is called, from everywhere: from another machine, from the machine
// itself, and from within the container.
// It returns how many ways that are, each with a path of its own.
func (b *bridged) pump(t *testing.T) (ways int, stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var pumps sync.WaitGroup
	port := b.Blocks[0].Port
	for of, addrs := range map[*rig.Network][]string{
		b.outside: {sitePublished, pastNginx},
		b.machine: {rig.Loopback(sitePort), sitePublished, fmt.Sprintf("%s:%d", nginxAddr, port)},
		b.nginx:   {rig.Loopback(port), fmt.Sprintf("%s:%d", nginxAddr, port)},
		b.app:     {fmt.Sprintf("%s:%d", nginxAddr, port)},
	} {
		for _, addr := range addrs {
			ways++
			url := fmt.Sprintf("http://%s/way-%d/%s", addr, ways, addr)
			pumps.Go(func() {
				client := of.Client()
				for ctx.Err() == nil {
					req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
					if err != nil {
						return
					}
					if resp, err := client.Do(req); err == nil { // a connection may be cut
						_, _ = io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
					}
					time.Sleep(5 * time.Millisecond)
				}
			})
		}
	}
	return ways, func() { cancel(); pumps.Wait() }
}

// neighbourAddr is where nginx's container serves somebody else.
const neighbourAddr = nginxAddr + ":81"

// visitsNeighbour asks the neighbour again and again until stop is called: it has to answer each time.
func (b *bridged) visitsNeighbour(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var visits sync.WaitGroup
	visits.Go(func() {
		client := b.machine.Client()
		for ctx.Err() == nil {
			resp, err := client.Get("http://" + neighbourAddr + "/")
			if err != nil {
				t.Errorf("the neighbour: %v", err)
				return
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusNoContent {
				t.Errorf("the neighbour answers %d", resp.StatusCode)
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	return func() { cancel(); visits.Wait() }
}

// visitors are who asks from another machine, and what they get of a closed site.
var visitors = map[string]struct {
	header http.Header
	want   int
}{
	"a browser": {http.Header{"Accept": {"text/html,application/xhtml+xml"}, "Sec-Fetch-Mode": {"navigate"}}, http.StatusFound},
	"fetch":     {http.Header{"Accept": {"*/*"}, "Sec-Fetch-Mode": {"cors"}}, http.StatusServiceUnavailable},
	"a monitor": {nil, http.StatusServiceUnavailable},
}

// getWhatTheyAreDue has them ask a closed site.
func (b *bridged) getWhatTheyAreDue(t *testing.T, mode string) {
	t.Helper()
	for who, v := range visitors {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+sitePublished+"/page", nil)
		rig.Check(t, err)
		req.Header = v.header.Clone()
		resp, err := b.outside.Client().Do(req)
		rig.Check(t, err)
		resp.Body.Close()
		if resp.StatusCode != v.want || resp.Header.Get("X-Conforma-Status") != mode {
			t.Errorf("in %s %s gets %d", mode, who, resp.StatusCode)
		}
	}
}

// switches closes and opens the site while requests come from everywhere, and sees that none reaches the application
// that mayn't, and that the neighbour notices nothing.
func (b *bridged) switches(t *testing.T, modes ...string) {
	t.Helper()
	b.run(t, "publish").Want(t, 0)
	b.StartGate(t)
	if r := b.run(t, "doctor"); r.Code != 0 {
		t.Errorf("the doctor isn't content:\n%s", r.Stdout)
	}
	ways, stop := b.pump(t)
	defer stop()
	defer b.visitsNeighbour(t)()
	for _, mode := range modes {
		b.run(t, "set", mode).Want(t, 0)
		n := b.App.Count()
		b.run(t, "get").Want(t, 0)
		if mode == "online" {
			rig.WaitFor(t, "requests to arrive again by each way", func() bool {
				by := map[string]bool{}
				for _, r := range b.App.Since(n) {
					by[r.URI] = true
				}
				return len(by) == ways
			})
			continue
		}
		b.getWhatTheyAreDue(t, mode)
		if late := b.App.Since(n); len(late) > 0 {
			t.Errorf("in %s %d requests reached the application, first %s", mode, len(late), late[0].URI)
		}
		if mode == "admin" { // nginx has to get through, from wherever an administrator comes
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+sitePublished+"/administrator", nil)
			rig.Check(t, err)
			req.Header.Set("Authorization", "Bearer "+rig.AdminToken(b.Blocks[0].Secret))
			resp, err := b.outside.Client().Do(req)
			rig.Check(t, err)
			resp.Body.Close()
			if resp.StatusCode != 200 || resp.Header.Get("X-App") == "" {
				t.Errorf("an administrator is answered %d", resp.StatusCode)
			}
		}
	}
}

// TestNginxBehindABridge has a site whose nginx and application are in containers behind one bridge.
func TestNginxBehindABridge(t *testing.T) {
	t.Parallel()
	newBridged(t, netip.MustParseAddrPort("172.30.0.3:3000"), "172.30.0.3:3000").switches(t, "offline", "online", "admin", "online")
}
