package maintenance

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// What a command of on_change is told of, in CONFORMA_STATUS_EVENT.
const (
	eventChange  = "change"
	eventOverdue = "overdue"
)

// notify starts the operator's on_change command for an event and doesn't wait for it: it can hold up nothing, and goes on when
// this process ends. It finds the event in its environment, and as one line of JSON on its standard input.
func (h *Host) notify(kind string, e Event) error {
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
	// A pipe takes this much whether anybody reads or not (pipe(7), PIPE_BUF and its 64 kB); an error of nginx's that is longer
	// is not waited for either.
	_ = out.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	_, _ = out.Write(append(line, '\n'))
	return errors.Join(out.Close(), cmd.Process.Release())
}

// remindedFile holds the ETA that on_change was last told has passed.
func (h *Host) remindedFile(name string) string {
	return filepath.Join(h.Config.StateDir, "reminded", name)
}

// remind tells on_change, once, that a site is still closed although its ETA has passed.
func (h *Host) remind(name string, r Record) error {
	until := r.Document.ExpectedUntil
	if len(h.Config.OnChange) == 0 || !r.Document.Mode.Closed() || until == nil || !h.Clock.Now().After(*until) {
		return nil
	}
	stamp := until.UTC().Format(time.RFC3339)
	if was, err := os.ReadFile(h.remindedFile(name)); err == nil && string(was) == stamp {
		return nil
	}
	if err := h.writeState(h.remindedFile(name), []byte(stamp)); err != nil {
		return err
	}
	err := h.notify(eventOverdue, Event{
		At: h.Clock.Now().UTC().Truncate(time.Millisecond), Site: name, From: r.Document.Mode, To: r.Document.Mode,
		Operator: h.Operator, Outcome: Unchanged, Seq: r.Document.Seq, ExpectedUntil: until,
	})
	if err != nil { // it is told once it can be
		return errors.Join(err, os.Remove(h.remindedFile(name)))
	}
	return nil
}
