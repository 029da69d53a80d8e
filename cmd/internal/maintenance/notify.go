package maintenance

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
)

// What a command of on_change is told of, in CONFORMA_STATUS_EVENT.
const (
	eventChange  = "change"
	eventOverdue = "overdue"
)

// notify starts the operator's on_change command for an event and doesn't wait for it. It may outlive us.
// The command finds the event in its environment, and as a line of JSON on standard input.
func (h *Host) notify(kind string, e state.Event) error {
	argv := h.Config.OnChange
	if len(argv) == 0 {
		return nil
	}
	line, err := json.Marshal(e)
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
	cmd.Env = append(os.Environ(), "CONFORMA_STATUS_EVENT="+kind, "CONFORMA_STATUS_SITE="+e.Site,
		"CONFORMA_STATUS_MODE="+string(e.To), "CONFORMA_STATUS_PREVIOUS="+string(e.From),
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

// remind tells on_change, once, that a site is still closed although its ETA has passed.
func (h *Host) remind(name string, r state.Record) error {
	until := r.Document.ExpectedUntil
	if len(h.Config.OnChange) == 0 || !r.Document.Mode.Closed() || until == nil || !h.Clock.Now().After(*until) {
		return nil
	}
	if h.Dir().Reminded(name, *until) {
		return nil
	}
	if err := h.Dir().Remind(name, *until); err != nil {
		return err
	}
	err := h.notify(eventOverdue, state.Event{
		At: h.Clock.Now().UTC().Truncate(time.Millisecond), Site: name, From: r.Document.Mode, To: r.Document.Mode,
		Operator: h.Operator, Outcome: state.Unchanged, Seq: r.Document.Seq, ExpectedUntil: until,
	})
	if err != nil { // it is told once it can be
		return errors.Join(err, h.Dir().ForgetReminder(name))
	}
	return nil
}

// writeHistory appends what came of the changes to the history and the audit log, and tells on_change.
func (r *run) writeHistory() error {
	var events []state.Event
	for _, c := range r.changes {
		events = append(events, state.Event{
			At: r.Clock.Now().UTC().Truncate(time.Millisecond), Site: c.site.Name, From: c.from, To: c.receipt.Mode,
			Operator: r.intent.Operator, Reason: r.intent.Reason, Outcome: c.receipt.Outcome, Error: c.receipt.Error,
			Seq: c.to.Seq, ExpectedUntil: c.to.ExpectedUntil, Cut: c.receipt.Cut,
		})
	}
	history, audit := r.Dir().AppendHistory(events, r.Config.AuditLog)
	errs := []error{history, audit}
	for i, c := range r.changes {
		if audit != nil {
			c.receipt.warn(audit.Error())
		}
		if err := r.notify(eventChange, events[i]); err != nil {
			c.receipt.warn(err.Error())
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
