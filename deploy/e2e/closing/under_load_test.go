package closing

import (
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// round goes from each mode to each, and ends where it began.
var round = []string{"offline", "admin", "offline", "online", "admin", "online"}

func TestNothingArrivesAfterSafeUnderLoad(t *testing.T) {
	t.Parallel()
	switchUnderLoad(t, 1)
}

// switchUnderLoad switches a site round and round while all kinds of traffic go on at it and at its neighbours. Nothing
// reaches the application that mustn't, and no neighbour notices.
func switchUnderLoad(t *testing.T, rounds int) {
	site := &testSite{name: "demo", settled: true}
	neighbours := []*testSite{{name: "north"}, {name: "stack"}, {name: "archive"}}
	h := newTestHost(t, append([]*testSite{site}, neighbours...)...)
	h.start(t)
	h.StartGate(t)
	destroys := canDestroy(t)
	t.Logf("the kernel destroys sockets for us: %v", destroys)

	used := newLoad(t, h)
	used.sendEverything(site)
	bystanders := newLoad(t, h)
	for _, n := range neighbours {
		// Where the kernel doesn't destroy sockets, old workers are ended with all their connections.
		if destroys {
			bystanders.sendAsBystander(n, true)
		}
	}
	everythingArrives := func() bool {
		for _, path := range []string{postPath, slowPath, socketPath, uploadPath, streamPath} {
			if site.app.count("request", path) < 2 {
				return false
			}
		}
		return site.app.count("message", socketPath) > 2
	}
	rig.WaitFor(t, "all kinds of traffic to arrive", everythingArrives)

	switches := 0
	was := "online"
	for range rounds {
		for _, mode := range round {
			h.checkSwitch(t, used, site, was, mode)
			was = mode
			switches++
		}
	}
	bystanders.end()
	used.end()
	t.Logf("%d switches, %d requests and messages reached the site, %d answered at the neighbours", switches, len(site.app.between(time.Time{}, time.Now(), true)), bystanders.done.Load())
	for _, f := range bystanders.failures() {
		t.Errorf("a neighbour noticed: %s", f)
	}
	if destroys && bystanders.done.Load() == 0 {
		t.Error("the neighbours had no traffic")
	}
}

func (h *testHost) checkSwitch(t *testing.T, l *load, site *testSite, was, mode string) {
	t.Helper()
	began := time.Now()
	r := h.CLI(t, "set", mode, "--site", site.name, "--drain", h.drain, "--json")
	returned := time.Now()
	if r.Code != 0 {
		t.Fatalf("from %s to %s: exit code %d\n%s\n%s", was, mode, r.Code, r.Stdout, r.Stderr)
	}
	got := receiptOf(t, r)
	if got.Previous != was || got.Mode != mode || got.Outcome != "done" || *got.Left != 0 || !got.Published {
		t.Errorf("from %s to %s: the receipt says %s", was, mode, r.Stdout)
	}
	if mode == "online" {
		seen := site.app.count("message", socketPath)
		rig.WaitFor(t, "the site to be used again", func() bool {
			return site.app.count("message", socketPath) > seen && len(site.app.between(returned, time.Now(), false)) > 5
		})
		return
	}
	if was == "online" {
		got.closed(t, began, returned, true)
	}
	l.goesOn(t, 2, mode == "offline")
	// Safe is safe from the moment that the receipt names (in milliseconds), not only from the return.
	for _, a := range site.app.between(got.SafeSince.Add(time.Millisecond), time.Now(), mode == "offline") {
		t.Errorf("from %s to %s: returned at %s, safe since %s, and then came: %v", was, mode,
			returned.Format("15:04:05.000000"), got.SafeSince.Local().Format("15:04:05.000000"), a)
	}
	if mode == "admin" {
		rig.WaitFor(t, "administrators to be let in", func() bool { return len(site.app.between(returned, time.Now(), true)) > 0 })
	}
}
