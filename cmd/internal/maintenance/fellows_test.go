package maintenance

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/fleet"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/cmd/internal/webhook"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// TestTells has the webhooks told what a switch says, by whoever has put it there.
func TestTells(t *testing.T) {
	until := time.Date(2026, 11, 22, 21, 45, 0, 0, time.UTC)
	is := func(mode, wanted status.Mode) status.Document {
		return status.Document{Site: "demo", Mode: mode, Wanted: wanted, Order: 7}
	}
	later := is(status.Offline, status.Offline)
	later.ExpectedUntil = &until
	for name, c := range map[string]struct {
		was, now status.Document
		safe     bool
		want     string
	}{
		"a closing":                      {is(status.Online, status.Online), is(status.Offline, status.Offline), false, "closed"},
		"the first order of all":         {status.Document{}, is(status.Offline, status.Offline), true, "closed"},
		"an opening that is ordered":     {is(status.Offline, status.Offline), is(status.Offline, status.Online), false, ""},
		"an opening that is announced":   {is(status.Offline, status.Online), is(status.Online, status.Online), true, "opened"},
		"administrators are let in":      {is(status.Offline, status.Admin), is(status.Admin, status.Admin), true, "admin"},
		"another ETA":                    {is(status.Offline, status.Offline), later, false, "extended"},
		"it was closed, and now is safe": {is(status.Offline, status.Offline), is(status.Offline, status.Offline), true, "closed"},
		"it was closed, and isn't safe":  {is(status.Offline, status.Offline), is(status.Offline, status.Offline), false, ""},
		"nothing was put":                {},
	} {
		t.Run(name, func(t *testing.T) {
			h := newWorld(t).Host
			e, concerns := h.Tells(fleet.Change{Was: c.was, Now: c.now}, c.safe)
			if string(e.Type) != c.want || concerns != (c.want != "") {
				t.Errorf("it is told %q, %v", e.Type, concerns)
			}
			if concerns && e.Data.Mode.Closed() && (e.Data.Safe == nil || *e.Data.Safe != c.safe) {
				t.Error("safe is not what it is")
			}
		})
	}
}

// fellowsOf are hosts with a receipt for an order each.
type fellowsOf map[string]uint64

func (f fellowsOf) Name() string { return "app-2" }

func (f fellowsOf) Members(context.Context, config.Site) (all fleet.Members, err error) {
	for host, order := range f {
		all.Receipts = append(all.Receipts, status.Receipt{Host: host, Order: order})
	}
	if len(f) == 0 {
		err = errors.New("the store is away")
	}
	return all, err
}

func (f fellowsOf) Order(context.Context, Request) ([]fleet.Change, error) { return nil, nil }

// TestSpeaks: one host tells what happens to all alike, the first of those that follow.
func TestSpeaks(t *testing.T) {
	for name, c := range map[string]struct {
		fellows Fellows
		want    bool
	}{
		"no fleet":                 {nil, true},
		"the first":                {fellowsOf{"app-2": 7, "app-3": 7}, true},
		"another is the first":     {fellowsOf{"app-1": 7, "app-2": 7}, false},
		"the first doesn't follow": {fellowsOf{"app-1": 6, "app-2": 7, "app-3": 7}, true},
		"the store is away":        {fellowsOf{}, true},
	} {
		h := newWorld(t).Host
		h.Fellows = c.fellows
		if got := h.speaks(t.Context(), config.Site{Name: "demo"}); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// contents are those of the files whose path, of elements to be joined, matches.
func contents(t *testing.T, pattern ...string) (all [][]byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(pattern...))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data)
	}
	return all
}

// waiting are the events that wait for the webhooks.
func (w *world) waiting(t *testing.T) (all []webhook.Event) {
	t.Helper()
	for _, data := range contents(t, w.Config.StateDir, "webhooks", "*", "*.json") {
		var one struct{ Body webhook.Event }
		if err := json.Unmarshal(data, &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one.Body)
	}
	return all
}

// TestClosedAloneIsNotSafe: a host of a fleet that closes alone, because the store is away, calls nothing safe, neither
// by a command nor at the begin of a window.
func TestClosedAloneIsNotSafe(t *testing.T) {
	for name, closes := range map[string]func(*world, time.Time) ([]*Receipt, error){
		"a command": func(w *world, _ time.Time) ([]*Receipt, error) {
			return w.CloseAlone(t.Context(), w.request(status.Offline))
		},
		"a window": func(w *world, start time.Time) ([]*Receipt, error) {
			w.now = start
			return w.Reconcile(t.Context(), time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, start := scheduled(t)
			w.Config.Fleet, w.Config.Webhooks = &config.Fleet{}, []config.Webhook{{URL: "https://example.org/hook"}}
			w.storeErr = store.ErrUnavailable
			rs, err := closes(w, start)
			if err != nil || len(rs) != 1 || w.effective() != status.Offline {
				t.Fatalf("the site is %s: %v, %v", w.effective(), rs, err)
			}
			if r := rs[0]; r.SafeSince != nil || r.Outcome != state.Shut || r.On != OnOneAlone || r.Published || r.Err != nil {
				t.Errorf("the receipt is %+v", r)
			}
			if all := w.waiting(t); len(all) != 1 || all[0].Type != webhook.Closed || *all[0].Data.Safe {
				t.Errorf("the webhook is told %+v", all)
			}
		})
	}
}

// TestSafeInAFleet: what a host tells of a fleet is safe only where it is on all hosts.
func TestSafeInAFleet(t *testing.T) {
	since := time.Date(2026, 11, 22, 21, 15, 0, 0, time.UTC)
	safe := func(host string) status.Receipt {
		return status.Receipt{Host: host, Order: 7, Mode: status.Offline, Outcome: status.ReceiptSafe}
	}
	shut := safe("app-1")
	shut.Outcome = status.ReceiptShut
	for name, c := range map[string]struct {
		fellows Fellows
		pending bool
		want    bool
	}{
		"all are":             {membersOf{safe("app-1"), safe("app-2")}, false, true},
		"another isn't":       {membersOf{shut, safe("app-2")}, false, false},
		"closed here alone":   {membersOf{safe("app-1"), safe("app-2")}, true, false},
		"none can be seen":    {fellowsOf{}, false, false},
		"it can't ask others": {nil, false, false},
	} {
		w := newWorld(t)
		w.Config.Fleet, w.Fellows = &config.Fleet{}, c.fellows
		if err := w.Dir().WriteFollowed("demo", state.Followed{Order: 7, Wanted: status.Offline, Pending: c.pending}); err != nil {
			t.Fatal(err)
		}
		w.Config.Webhooks = []config.Webhook{{URL: "https://example.org/hook"}}
		r := state.Record{SafeSince: &since, Document: status.Document{Site: "demo", Mode: status.Offline, ExpectedUntil: new(w.now.Add(-time.Hour))}}
		if err := w.remind(t.Context(), w.site, r); err != nil {
			t.Fatal(err)
		}
		if all := w.waiting(t); len(all) != 1 || all[0].Type != webhook.Overdue || *all[0].Data.Safe != c.want {
			t.Errorf("%s: the webhook is told %+v", name, all)
		}
		if w.isSafe(t.Context(), w.site, state.Record{}) {
			t.Errorf("%s: this host itself isn't safe", name)
		}
	}
}

// membersOf are hosts with these receipts.
type membersOf []status.Receipt

func (m membersOf) Name() string { return "app-1" }

func (m membersOf) Members(context.Context, config.Site) (fleet.Members, error) {
	return fleet.Members{Receipts: m}, nil
}

func (m membersOf) Order(context.Context, Request) ([]fleet.Change, error) { return nil, nil }
