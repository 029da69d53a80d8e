package modes

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/status"
)

// TestStatusNeverRunsAhead switches a site from each mode to each while a client compares what status.json says, in
// the store and from nginx, with what nginx does.
//
// The two can't be read at the same instant. So a sample is three readings: the document, then nginx, then the
// document again. seq only grows, so where both readings of the document have the same one, it said the same at the
// moment when nginx was asked in between. Samples with another seq at their end prove nothing and don't count.
func TestStatusNeverRunsAhead(t *testing.T) {
	t.Parallel()
	statusNeverRunsAhead(t, 6)
}

func statusNeverRunsAhead(t *testing.T, switches int) {
	h := rig.NewHost(t)
	h.Install(t)
	h.CLI(t, "publish").Want(t, 0)
	last := map[string]status.Document{}
	read := func() map[string]status.Document {
		docs := map[string]status.Document{"the store": rig.ParseStatus(t, h.Published(t, "demo")), "nginx": rig.Served(t, h, "demo")}
		for where, d := range docs {
			if was, ok := last[where]; ok && (d.Seq < was.Seq || d.Seq == was.Seq && !reflect.DeepEqual(d, was)) {
				t.Fatalf("%s says %+v after %+v", where, d, was)
			}
		}
		last = docs
		return docs
	}
	counted := map[status.Mode]int{}
	sample := func(command string) {
		first := read()
		call := h.Client(t, "demo").Do(t, rig.GraphQL(""))
		login := h.Client(t, "demo").Do(t, rig.Navigation("/login"))
		second := read()
		for where, d := range first {
			if second[where].Seq != d.Seq {
				continue
			}
			counted[d.Mode]++
			switch {
			case d.Mode == status.Online && (call.Status != 200 || login.Status != 200):
				t.Errorf("%s: %s says online (seq %d), nginx answers a call %d and the login page %d, being %s",
					command, where, d.Seq, call.Status, login.Status, call.Header.Get("X-Conforma-Status"))
			// While a site goes from online to admin, those who may log in wait until it has drained.
			case d.Mode == status.Admin && login.Status != 200 && command != "online to admin":
				t.Errorf("%s: %s says admin (seq %d), nginx answers the login page %d, being %s",
					command, where, d.Seq, login.Status, login.Header.Get("X-Conforma-Status"))
			}
		}
	}

	was := "online"
	tour := []string{"offline", "admin", "online", "admin", "offline", "online"} // every way from one mode to another
	for i := range switches {
		mode := tour[i%len(tour)]
		command := was + " to " + mode
		seq := rig.Agree(t, h, "demo").Seq
		done := make(chan rig.Result, 1)
		go func() { done <- h.CLI(t, "set", mode, "--site", "demo") }()
		for running := true; running; {
			sample(command)
			select {
			case r := <-done:
				r.Want(t, 0)
				running = false
			case <-time.After(5 * time.Millisecond): // leave the machine to the command, too
			}
		}
		for range 3 {
			sample("after " + command)
		}
		if d := rig.Agree(t, h, "demo"); string(d.Mode) != mode || d.Seq <= seq {
			t.Errorf("after %s: all agree on %s (seq %d), before it was seq %d", command, d.Mode, d.Seq, seq)
		}
		was = mode
	}
	for _, mode := range tour[:3] {
		if counted[status.Mode(mode)] < 10 {
			t.Errorf("only %d samples count for %s", counted[status.Mode(mode)], mode)
		}
	}
}

// TestSeveralSitesAtOnce takes some sites, and then all, through the modes with one command each.
func TestSeveralSitesAtOnce(t *testing.T) {
	t.Parallel()
	h := rig.NewHost(t)
	h.Install(t)
	h.CLI(t, "publish").Want(t, 0)
	all := []string{"demo", "north", "stack", "training", "archive"}
	for _, step := range []struct {
		args []string
		want []string // the modes of all, in their order
	}{
		{[]string{"set", "offline", "--site", "demo", "--site", "stack"}, []string{"offline", "online", "offline", "online", "online"}},
		{[]string{"set", "admin", "--all"}, []string{"admin", "admin", "admin", "admin", "admin"}},
		{[]string{"set", "online", "--site", "north"}, []string{"admin", "online", "admin", "admin", "admin"}},
		{[]string{"set", "offline", "--all", "--eta", "1h"}, []string{"offline", "offline", "offline", "offline", "offline"}},
		{[]string{"set", "online", "--all"}, []string{"online", "online", "online", "online", "online"}},
	} {
		r := h.CLI(t, append(step.args, "--json")...).Want(t, 0)
		var receipts struct {
			Version int
			Sites   []struct{ Site, Outcome string }
		}
		if err := json.Unmarshal([]byte(r.Stdout), &receipts); err != nil || receipts.Version != 1 || len(receipts.Sites) == 0 {
			t.Fatalf("%v: %v in %s", step.args, err, r.Stdout)
		}
		for i, site := range all {
			if d := rig.Agree(t, h, site); string(d.Mode) != step.want[i] {
				t.Errorf("%v: %s is %s, want %s", step.args, site, d.Mode, step.want[i])
			}
			n := h.Block(t, site).App.Count()
			got := h.Client(t, site).Do(t, rig.GraphQL("")).Status
			if open := step.want[i] == "online"; (got == 200) != open || (h.Block(t, site).App.Count() > n) != open {
				t.Errorf("%v: %s answers a call with %d", step.args, site, got)
			}
		}
		if got := h.Client(t, "grafana").Do(t, rig.Navigation("/")).Status; got != 200 {
			t.Errorf("%v: the Grafana answers %d", step.args, got)
		}
	}
	h.CLI(t, "get").Want(t, 0)
}
