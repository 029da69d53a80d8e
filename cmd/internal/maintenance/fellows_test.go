package maintenance

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/fleet"
	"github.com/msupply-foundation/conforma-status/status"
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
