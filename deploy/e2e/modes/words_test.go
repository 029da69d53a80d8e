package modes

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/procfs"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/answers"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestWordsDoNotTouchNginx changes what is said about a site that is closed: nginx goes on with the same workers and
// the same rules, and says the new words at once.
func TestWordsDoNotTouchNginx(t *testing.T) {
	t.Parallel()
	h := rig.NewHost(t)
	h.Install(t)
	for _, mode := range []string{"offline", "admin"} {
		h.CLI(t, "set", mode, "--site", "demo", "--eta", "30m", "--message", "One moment.").Want(t, 0)
		settled := settledWorkers(t, h)
		revision := rig.SiteViewOf(t, h, "demo").Live.Revision
		rules, err := os.Stat(h.SiteFile("demo"))
		if err != nil {
			t.Fatal(err)
		}
		was := rig.Agree(t, h, "demo")
		var asked time.Time // for the ETA that is announced
		for _, step := range []struct {
			args    []string
			eta     time.Duration
			message string
		}{
			{[]string{"extend", "2h", "--site", "demo"}, 2 * time.Hour, "One moment."},
			{[]string{"set", mode, "--site", "demo", "--eta", "3h"}, 3 * time.Hour, "One moment."},
			{[]string{"set", mode, "--site", "demo", "--message", "A little longer."}, 3 * time.Hour, "A little longer."},
			{[]string{"set", mode, "--site", "demo", "--eta", "4h", "--message", "Longer still."}, 4 * time.Hour, "Longer still."},
			{[]string{"set", mode, "--site", "demo"}, 4 * time.Hour, "Longer still."}, // says nothing new
		} {
			name := mode + ": " + strings.Join(step.args, " ")
			if step.args[0] == "extend" || slices.Contains(step.args, "--eta") {
				asked = time.Now().Truncate(time.Second) // what is announced is in whole seconds
			}
			h.CLI(t, step.args...).Want(t, 0)
			d := rig.Agree(t, h, "demo")
			if d.ExpectedUntil == nil || d.ExpectedUntil.Before(asked.Add(step.eta)) || d.ExpectedUntil.After(time.Now().Add(step.eta)) {
				t.Errorf("%s: expected until %v, want %v from now", name, d.ExpectedUntil, step.eta)
			}
			if d.Message == nil || *d.Message != step.message {
				t.Errorf("%s: the message is %v, want %q", name, d.Message, step.message)
			}
			if d.Mode != was.Mode || !d.Since.Equal(was.Since) || d.Seq < was.Seq {
				t.Errorf("%s: %+v after %+v", name, d, was)
			}
			m := rig.GraphQL("")
			answers.Want{Host: h, Site: "demo", Mode: mode, Page: h.PageURL + "/demo/", Eta: d.ExpectedUntil, Message: m}.
				Check(t, answers.Refused, answers.Request{Message: m}.Send(t, h, "demo", answers.Anyone))
			if now := workersOfHost(t, h); !slices.Equal(now, settled) {
				t.Errorf("%s: nginx's workers were %v and are %v", name, settled, now)
			}
			if now := rig.SiteViewOf(t, h, "demo").Live.Revision; now != revision {
				t.Errorf("%s: nginx's rules were revision %s and are %s", name, revision, now)
			}
			if now, err := os.Stat(h.SiteFile("demo")); err != nil || !os.SameFile(rules, now) {
				t.Errorf("%s: the rules were written anew (%v)", name, err)
			}
			was = d
		}
	}
}

// TestWordsOverTheModes follows what visitors are told from one mode to the next.
func TestWordsOverTheModes(t *testing.T) {
	t.Parallel()
	h := rig.NewHost(t)
	h.Install(t)
	eta := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	later := eta.Add(30 * time.Minute)
	hello := "Hello."
	var first, second time.Time // since
	for _, step := range []struct {
		args    []string
		eta     *time.Time
		message *string
		since   *time.Time // what it has to be; a zero time is one that begins now
	}{
		{[]string{"set", "offline"}, nil, nil, &first},
		{[]string{"set", "offline", "--eta", eta.Format(time.RFC3339)}, &eta, nil, &first},
		{[]string{"set", "admin", "--message", hello}, &eta, &hello, &first},
		{[]string{"set", "offline"}, &eta, &hello, &first},
		{[]string{"extend", later.Format(time.RFC3339)}, &later, &hello, &first},
		{[]string{"set", "admin"}, &later, &hello, &first},
		{[]string{"set", "online"}, nil, nil, &second},
		{[]string{"set", "admin"}, nil, nil, new(time.Time)},
	} {
		name := strings.Join(step.args, " ")
		// A second has to pass for a time that is kept to be told from one that is new.
		rig.WaitFor(t, "the next second", func() bool {
			return h.Published(t, "demo") == "" || time.Now().Unix() > rig.ParseStatus(t, h.Published(t, "demo")).UpdatedAt.Unix()
		})
		before := time.Now().Truncate(time.Second)
		h.CLI(t, append(step.args, "--site", "demo")...).Want(t, 0)
		d := rig.Agree(t, h, "demo")
		if !sameTime(d.ExpectedUntil, step.eta) {
			t.Errorf("%s: expected until %v, want %v", name, d.ExpectedUntil, step.eta)
		}
		if (d.Message == nil) != (step.message == nil) || d.Message != nil && *d.Message != *step.message {
			t.Errorf("%s: the message is %v, want %v", name, d.Message, step.message)
		}
		if step.since.IsZero() {
			if d.Since.Before(before) {
				t.Errorf("%s: since %v, want one that begins now, %v", name, d.Since, before)
			}
			*step.since = d.Since
		}
		if !d.Since.Equal(*step.since) {
			t.Errorf("%s: since %v, want %v", name, d.Since, *step.since)
		}
		if d.UpdatedAt.Before(before) {
			t.Errorf("%s: updated at %v, want %v or later", name, d.UpdatedAt, before)
		}
	}
}

func sameTime(a, b *time.Time) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Equal(*b)
}

// settledWorkers returns nginx's workers once those of before the last reload are gone.
func settledWorkers(t *testing.T, h *rig.Host) []int {
	t.Helper()
	rig.WaitFor(t, "old workers to end", func() bool { return len(workersOfHost(t, h)) == 2 })
	return workersOfHost(t, h)
}

// workersOfHost returns the process ids of the children of nginx's master.
func workersOfHost(t *testing.T, h *rig.Host) []int {
	t.Helper()
	master := h.Nginx.PID(t)
	all, err := procfs.AllProcs()
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, p := range all {
		if stat, err := p.Stat(); err == nil && stat.PPID == master { // it fails for one that has just ended
			pids = append(pids, p.PID)
		}
	}
	slices.Sort(pids)
	return pids
}
