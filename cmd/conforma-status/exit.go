package main

import (
	"errors"
	"fmt"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/publishing"
	"github.com/msupply-foundation/conforma-status/cmd/internal/setup"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/status/fault"
)

// The exit codes, which scripts rely on.
const (
	exitDone        = 0 // done
	exitFailed      = 1 // failed, nothing changed or rolled back
	exitUsage       = 2 // usage or configuration
	exitUnpublished = 3 // nginx is as asked, the status is not published yet
	exitUnsafe      = 4 // shut, but not safe to snapshot
	exitDrift       = 5 // drift or faults found
)

// coded is an error with the exit code that it leads to.
type coded struct {
	code int
	err  error
}

func (c *coded) Error() string { return c.err.Error() }
func (c *coded) Unwrap() error { return c.err }

// errSaid ends a command whose output has said everything already.
var errSaid = errors.New("said")

// said ends a command whose output has said everything, with an exit code.
func said(code int) error {
	if code == exitDone {
		return nil
	}
	return &coded{code, errSaid}
}

// usage is a mistake in the configuration, or in what it names.
func usage(err error, hints ...string) error {
	return &coded{exitUsage, terminal.Advise(err, hints...)}
}

// misused is a mistake in the command line.
func misused(err error, hints ...string) error {
	return usage(fmt.Errorf("read the command line: %w", err), hints...)
}

// failed is an error that changed nothing, or was undone.
func failed(err error, hints ...string) error {
	return &coded{exitFailed, terminal.Advise(err, hints...)}
}

// exitCode is the exit code for an error that ended a command.
func exitCode(err error) int {
	var c *coded
	var faults fault.List
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &c):
		return c.code
	case errors.Is(err, maintenance.ErrNginxNeeded), errors.Is(err, maintenance.ErrBarrierLost):
		return exitUnsafe
	case errors.As(err, &faults), errors.Is(err, config.ErrNoFile),
		errors.Is(err, publishing.ErrContent), errors.Is(err, publishing.ErrSamePlace), errors.Is(err, setup.ErrUnitPath):
		return exitUsage
	}
	return exitFailed
}

// receiptCode is the exit code for a change of several sites: that of the site for which it went worst. "Nothing
// changed" is worse than "shut but not safe", and that is worse than "not published".
func receiptCode(receipts []*maintenance.Receipt) int {
	code := exitDone
	worse := map[int]int{exitDone: 0, exitUnpublished: 1, exitUnsafe: 2, exitFailed: 3}
	for _, r := range receipts {
		c := exitDone
		switch {
		case r.Outcome == state.Failed:
			c = exitFailed
		case r.Outcome == state.Shut:
			c = exitUnsafe
		case r.Outcome == state.Planned, r.On == maintenance.OnAnother:
		case r.Mode.Closed() && r.SafeSince == nil:
			c = exitUnsafe
		case !r.Published:
			c = exitUnpublished
		}
		if worse[c] > worse[code] {
			code = c
		}
	}
	return code
}
