package maintenance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/cmd/internal/webhook"
	"github.com/msupply-foundation/conforma-status/status"
)

// eventChange is what a command of on_change is told of each change of a site, in CONFORMA_STATUS_EVENT. What else
// happens is told by the name of its type.
const eventChange = "change"

// notify starts the operator's on_change command for an event, and doesn't wait for it: it may outlive us. The command
// finds the event in its environment, and as a line of JSON on its standard input. what is "" for a change that has no
// type, which nobody outside this host is told of.
func (h *Host) notify(kind string, what webhook.Type, e state.Event) error {
	argv := h.Config.OnChange
	if len(argv) == 0 {
		return nil
	}
	line, err := json.Marshal(struct {
		Type webhook.Type `json:"type,omitempty"`
		state.Event
	}{what, e})
	if err != nil {
		return fmt.Errorf("run on_change: %w", err)
	}
	in, out, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("run on_change: %w", err)
	}
	defer in.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin = in
	cmd.Env = append(os.Environ(), "CONFORMA_STATUS_EVENT="+kind, "CONFORMA_STATUS_TYPE="+string(what),
		"CONFORMA_STATUS_SITE="+e.Site, "CONFORMA_STATUS_MODE="+string(e.To), "CONFORMA_STATUS_PREVIOUS="+string(e.From),
		"CONFORMA_STATUS_OUTCOME="+string(e.Outcome), "CONFORMA_STATUS_OPERATOR="+e.Operator)
	// A session of its own: what is typed at our terminal doesn't end it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("run on_change: %w", err), out.Close())
	}
	// What doesn't fit is left out, for the command may never read: a pipe takes 64 kB at once (pipe(7)).
	if raw, err := out.SyscallConn(); err == nil {
		_ = raw.Write(func(fd uintptr) bool { _, _ = syscall.Write(int(fd), append(line, '\n')); return true })
	}
	return errors.Join(out.Close(), cmd.Process.Release())
}

// remind tells on_change and the webhooks, each once, that a site is still closed although its ETA has passed.
func (h *Host) remind(ctx context.Context, s config.Site, r state.Record) error {
	name := s.Name
	until := r.Document.ExpectedUntil
	if !r.Document.Mode.Closed() || until == nil || !h.Clock.Now().After(*until) {
		return nil
	}
	at := h.moment()
	return errors.Join(
		h.once(name, *until, len(h.Config.OnChange) > 0, func() error {
			return h.notify(string(webhook.Overdue), webhook.Overdue, state.Event{
				At: at, Site: name, From: r.Document.Mode, To: r.Document.Mode,
				Operator: h.Operator, Outcome: state.Unchanged, Seq: r.Document.Seq, ExpectedUntil: until,
			})
		}),
		// No site has a dot in its name.
		h.once(name+".webhooks", *until, len(h.Config.Webhooks) > 0, func() error {
			if !h.speaks(ctx, s) {
				return nil
			}
			return h.tell(webhook.Of(webhook.Overdue, at, r.Document, r.Document.Mode), h.isSafe(ctx, s, r))
		}))
}

// once reminds somebody of an ETA where there is anybody, and where they weren't before.
func (h *Host) once(whom string, eta time.Time, anybody bool, remind func() error) error {
	if !anybody || h.Dir().Reminded(whom, eta) {
		return nil
	}
	if err := h.Dir().Remind(whom, eta); err != nil {
		return err
	}
	if err := remind(); err != nil { // it is told once it can be
		return errors.Join(err, h.Dir().ForgetReminder(whom))
	}
	return nil
}

// tell has an event wait for the webhooks; safe is whether a snapshot can be taken. Somebody else delivers it:
// nothing here waits for that.
func (h *Host) tell(e webhook.Event, safe bool) error {
	if e.Data.Mode.Closed() {
		e.Data.Safe = &safe
	}
	return h.Tell(e)
}

// event is what the change comes to for those who are told of it, false for nothing that concerns them.
func (c *change) event() (webhook.Type, bool) {
	was, is := c.record.Document, c.to
	switch {
	case c.receipt.Outcome != state.Done && c.receipt.Outcome != state.Shut:
		return "", false
	case c.from != is.Mode:
		return ofMode(is.Mode), true
	case !is.Mode.Closed():
		return "", false
	case !samePromise(was, is):
		return webhook.Extended, true
	case c.has(StepDrain) && is.Mode == status.Offline && c.record.SafeSince != nil:
		return webhook.Closed, true // it wasn't safe before, or it wouldn't have been drained again
	}
	return "", false
}

// samePromise reports whether two documents say the same about when the site is back, and why it is closed.
func samePromise(a, b status.Document) bool {
	is := a
	is.ExpectedUntil, is.Message, is.Messages = b.ExpectedUntil, b.Message, b.Messages
	return a.Same(is)
}

// writeHistory appends what came of the changes to the history and the audit log, and tells on_change and the
// webhooks.
func (r *run) writeHistory() error {
	var events []state.Event
	asksUntil := r.Clock.Now().Add(whoBound) // of 300 sites, each may wait for a store that hangs
	for _, c := range r.changes {
		operator, reason := r.intent.Operator, r.intent.Reason
		if c.who != nil && r.Clock.Now().Before(asksUntil) {
			if by, why := c.who(); by != "" {
				operator, reason = by, why
			}
		}
		events = append(events, state.Event{
			At: r.moment(), Site: c.site.Name, From: c.from, To: c.receipt.Mode,
			Operator: operator, Reason: reason, Outcome: c.receipt.Outcome, Error: c.receipt.Error,
			Seq: c.to.Seq, ExpectedUntil: c.to.ExpectedUntil, Cut: c.receipt.Cut, ClosedAt: c.closedAt(),
		})
	}
	history, audit := r.Dir().AppendHistory(events, r.Config.AuditLog)
	errs := []error{history, audit}
	for i, c := range r.changes {
		if audit != nil {
			c.receipt.warn(audit.Error())
		}
		what, concerns := c.event()
		err := r.notify(eventChange, what, events[i])
		if concerns && r.tellsChange(c.site.Name) {
			// A host of a fleet tells only of what it has closed alone.
			safe := c.receipt.Outcome != state.Shut && c.record.SafeSince != nil && r.Config.Fleet == nil
			err = errors.Join(err, r.tell(webhook.Of(what, events[i].At, c.to, c.from), safe))
		}
		if err != nil {
			c.receipt.warn(err.Error())
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
