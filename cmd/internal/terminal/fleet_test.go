package terminal

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/cmd/internal/fleet"
	"github.com/msupply-foundation/conforma-status/status"
)

// What went wrong with an order is said with a hint only where there is one.
func TestOrderedWithoutHint(t *testing.T) {
	var out, errs bytes.Buffer
	New(&out, &errs).Ordered(fleet.Orders{{Name: "demo", Err: errors.New("read the switch: it is that of site \"other\"")}})
	if got := errs.String(); !strings.Contains(got, "it is that of site") || strings.Contains(got, "hint:") {
		t.Errorf("it says %q", got)
	}
}

// TestFleetViews: what one host sees of its fleet. Nothing is called safe before all hosts are there, and what can't be
// seen is not said to be nothing.
func TestFleetViews(t *testing.T) {
	away := errors.New("read the switch: store unavailable")
	hosts := []FleetHost{{Host: "app-1", Receipt: &status.Receipt{Host: "app-1", Order: 7, Mode: status.Offline, Outcome: status.ReceiptSafe, SafeSince: &safeAt}}}
	for name, c := range map[string]struct {
		fleet     Fleet
		says, not []string
		safe      bool
	}{
		"all are there": {Fleet{Order: 7, Wanted: status.Offline, Done: true, Hosts: hosts},
			[]string{"safe to take a snapshot since ", "ordered    offline (order 7)"}, []string{"NOT SAFE"}, true},
		"all are where they were ordered, which is elsewhere": {Fleet{Order: 7, Wanted: status.Online, Done: true, Hosts: hosts},
			[]string{"NOT SAFE to take a snapshot: not every host is known to be safe"}, []string{"snapshot since"}, false},
		"one is missing": {Fleet{Order: 7, Wanted: status.Offline, Missing: []string{"app-2"}, Hosts: hosts},
			[]string{"NOT SAFE to take a snapshot: not every host is known to be safe"}, []string{"snapshot since"}, false},
		"nobody has ordered anything": {Fleet{Wanted: status.Online, Hosts: hosts},
			[]string{"ordered    nobody has ordered anything yet"}, []string{"snapshot since"}, false},
		"the switch can't be read": {Fleet{Err: away},
			[]string{"ordered    it can't be read what is ordered", "hosts      not seen: read the switch: store unavailable"}, []string{"nobody has ordered", "snapshot since"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var out, doc bytes.Buffer
			New(&out, &out).FleetViews(views()[:1], []Fleet{c.fleet})
			for _, words := range c.says {
				if !strings.Contains(out.String(), words) {
					t.Errorf("it doesn't say %q:\n%s", words, out.String())
				}
			}
			for _, words := range c.not {
				if strings.Contains(out.String(), words) {
					t.Errorf("it says %q:\n%s", words, out.String())
				}
			}
			shown := New(&doc, &out)
			shown.JSON = true
			shown.FleetViews(views()[:1], []Fleet{c.fleet})
			if strings.Contains(doc.String(), `"safeSince": null`) == c.safe {
				t.Errorf("in JSON it is\n%s", doc.String())
			}
		})
	}
}

// TestOrderedUnseen: hosts that can't be seen are not said to be none.
func TestOrderedUnseen(t *testing.T) {
	for err, want := range map[error]string{
		nil:                               "NOT SAFE: no host follows this site; see systemctl status conforma-status-follow on each\n",
		errors.New("list the hosts: why"): "NOT SAFE: the hosts can't be seen\n",
	} {
		var out, errs bytes.Buffer
		New(&out, &errs).Ordered(fleet.Orders{{Name: "demo", Err: err}})
		if !strings.HasSuffix(out.String(), want) {
			t.Errorf("it says\n%s", out.String())
		}
	}
}
