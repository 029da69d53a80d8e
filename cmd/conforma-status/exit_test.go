package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/fault"
)

// The codes are part of the contract with scripts: they are written out here.
func TestExitCode(t *testing.T) {
	why := errors.New("why")
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"done":                    {nil, 0},
		"an error":                {why, 1},
		"failed":                  {failed(why, "do this"), 1},
		"an error of usage":       {usage(why, "do that"), 2},
		"wrapped":                 {fmt.Errorf("set: %w", usage(why)), 2},
		"faults":                  {fault.List{{Problem: "x"}}, 2},
		"faults, wrapped":         {fmt.Errorf("read the configuration: %w", fault.List{{Problem: "x"}}), 2},
		"no configuration":        {fmt.Errorf("%w at /x", config.ErrNoFile), 2},
		"not published":           {said(exitUnpublished), 3},
		"not safe":                {said(exitUnsafe), 4},
		"drift":                   {said(exitDrift), 5},
		"a lost barrier":          {errors.Join(why, fmt.Errorf("%w: why", maintenance.ErrBarrierLost)), 4},
		"given up":                {context.Canceled, 1},
		"the code given counts":   {failed(fault.List{{Problem: "x"}}), 1},
		"a code within a message": {errors.Join(why, usage(why)), 2},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	if err := usage(why); err.Error() != "why" || !errors.Is(err, why) {
		t.Errorf("an error with a code says %q", err)
	}
}

func TestReceiptCode(t *testing.T) {
	safe := time.Unix(0, 0)
	type receipt = maintenance.Receipt
	done := receipt{Mode: status.Offline, Outcome: state.Done, SafeSince: &safe, Published: true}
	with := func(change func(*receipt)) *receipt {
		r := done
		change(&r)
		return &r
	}
	var (
		closed      = with(func(*receipt) {})
		unchanged   = with(func(r *receipt) { r.Outcome = state.Unchanged })
		unpublished = with(func(r *receipt) { r.Published = false })
		left        = with(func(r *receipt) { r.SafeSince = nil })
		leftToo     = with(func(r *receipt) { r.SafeSince, r.Published = nil, false })
		stillUnsafe = with(func(r *receipt) { r.SafeSince, r.Outcome = nil, state.Unchanged })
		shut        = with(func(r *receipt) { r.Outcome, r.SafeSince = state.Shut, nil })
		shutToo     = with(func(r *receipt) { r.Outcome, r.SafeSince, r.Published = state.Shut, nil, false })
		rolledBack  = with(func(r *receipt) { r.Outcome = state.Failed })
		planned     = with(func(r *receipt) { r.Outcome, r.SafeSince, r.Published = state.Planned, nil, false })
		opened      = with(func(r *receipt) { r.Mode, r.SafeSince = status.Online, nil })
		openedOnly  = with(func(r *receipt) { r.Mode, r.SafeSince, r.Published = status.Online, nil, false })
		stillShut   = with(func(r *receipt) { r.Mode, r.Outcome, r.SafeSince = status.Online, state.Shut, nil })
		admin       = with(func(r *receipt) { r.Mode = status.Admin })
		adminLeft   = with(func(r *receipt) { r.Mode, r.SafeSince = status.Admin, nil })
	)
	for name, c := range map[string]struct {
		receipts []*receipt
		want     int
	}{
		"nothing to do":                    {nil, 0},
		"closed":                           {[]*receipt{closed}, 0},
		"closed before":                    {[]*receipt{unchanged}, 0},
		"closed, not published":            {[]*receipt{unpublished}, 3},
		"closed, something left":           {[]*receipt{left}, 4},
		"something left and not published": {[]*receipt{leftToo}, 4},
		"closed before, something left":    {[]*receipt{stillUnsafe}, 4},
		"shut by the file alone":           {[]*receipt{shut}, 4},
		"shut and not published":           {[]*receipt{shutToo}, 4},
		"rolled back":                      {[]*receipt{rolledBack}, 1},
		"a dry run":                        {[]*receipt{planned}, 0},
		"opened":                           {[]*receipt{opened}, 0},
		"opened, not published":            {[]*receipt{openedOnly}, 3},
		"could not be opened":              {[]*receipt{stillShut}, 4},
		"admin":                            {[]*receipt{admin}, 0},
		"admin, something left":            {[]*receipt{adminLeft}, 4},
		"of several the worst, 3":          {[]*receipt{closed, unpublished, opened}, 3},
		"of several the worst, 4":          {[]*receipt{left, unpublished, closed}, 4},
		"of several the worst, 4 last":     {[]*receipt{closed, unpublished, shut}, 4},
		"of several the worst, 1":          {[]*receipt{rolledBack, shut, closed}, 1},
		"of several the worst, 1 last":     {[]*receipt{shut, unpublished, rolledBack}, 1},
	} {
		if got := receiptCode(c.receipts); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
