package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/status"
)

// crashHost is a host for many cases, one after the other.
type crashHost struct {
	*rig.Single
	held *websocket.Conn
	mode status.Mode // as the last case left it
}

func newCrashHost(t *testing.T) *crashHost {
	t.Helper()
	h := &crashHost{Single: rig.NewSingle(t)}
	rig.WriteFile(t, h.Enabled("none.conf"), "")
	h.Install(t)
	return h
}

// changeReceipt is what a test reads of a receipt.
type changeReceipt struct {
	Mode, Previous status.Mode
	Outcome        string
	Seq            uint64
	SafeSince      *time.Time
	Cut            int
	Published      bool
	Steps          []struct{ Step string }
	Warnings       []string
	Error          string
}

// changeReceiptOf reads the one receipt that a command with --json printed.
func changeReceiptOf(r rig.Result) (changeReceipt, error) {
	var doc struct{ Sites []changeReceipt }
	if err := json.Unmarshal([]byte(r.Stdout), &doc); err != nil || len(doc.Sites) != 1 {
		return changeReceipt{}, fmt.Errorf("no receipt (exit code %d, %v):\n%s\n%s", r.Code, err, r.Stdout, r.Stderr)
	}
	return doc.Sites[0], nil
}

// set is "set MODE" with the arguments of the case's variant, killed at the place that crash names, "" for none.
func (h *crashHost) set(t *testing.T, c crashCase, mode status.Mode, crash string) rig.Result {
	t.Helper()
	call := rig.Call{Binary: rig.CrashBinary(t), Args: append([]string{"set", string(mode), "--json"}, c.variant.args...)}
	if crash != "" {
		call.Env = []string{"CONFORMA_STATUS_CRASH=" + crash}
	}
	return h.Call(t, call)
}

// begin brings the host to where the change of a case begins.
func (h *crashHost) begin(t *testing.T, c crashCase) error {
	t.Helper()
	h.Configure(t, rig.Settings{})
	r := h.CLI(t, "set", string(c.from))
	if r.Code == 4 { // an earlier case has cut something: only once it was open is it safe again
		h.CLI(t, "set", "online").Want(t, 0)
		r = h.CLI(t, "set", string(c.from))
	}
	if r.Code != 0 {
		return fmt.Errorf("set %s: exit code %d\n%s", c.from, r.Code, r.Stderr)
	}
	h.Configure(t, c.variant.settings)
	if c.variant.held {
		conn, err := h.Client().WebSocket(t, "/websocket/held")
		if err != nil {
			return err
		}
		h.held = conn
	}
	if c.variant.broken {
		rig.WriteFile(t, h.Enabled("broken.conf"), "somebody_else is_not_done;\n")
	}
	h.store(t, c.storeUp)
	return nil
}

// store makes the directory of the store be there, or not.
func (h *crashHost) store(t *testing.T, up bool) {
	t.Helper()
	from, to := h.Store+".away", h.Store
	if !up {
		from, to = to, from
	}
	if err := os.Rename(from, to); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

// clean ends what a case has put up, whatever came of it.
func (h *crashHost) clean(t *testing.T) {
	t.Helper()
	if h.held != nil {
		h.held.CloseNow()
		h.held = nil
	}
	h.mend(t)
	h.store(t, true)
	h.Configure(t, rig.Settings{})
}

func (h *crashHost) mend(t *testing.T) {
	t.Helper()
	if err := os.Remove(h.Enabled("broken.conf")); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

// steps reads from the journal which steps a killed command had begun.
func (h *crashHost) steps() ([]string, error) {
	data, err := os.ReadFile(filepath.Join(h.State, "journal"))
	if err != nil {
		return nil, err
	}
	var steps []string
	for line := range strings.Lines(string(data)) {
		var l struct{ Step, Event string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			return nil, err
		}
		if l.Event == "begin" {
			steps = append(steps, l.Step)
		}
	}
	return steps, nil
}

// planned returns the steps that a dry run foresees.
func (h *crashHost) planned(t *testing.T, c crashCase) ([]string, error) {
	t.Helper()
	receipt, err := changeReceiptOf(h.CLI(t, append([]string{"set", string(c.to), "--dry-run", "--json"}, c.variant.args...)...))
	var steps []string
	for _, s := range receipt.Steps {
		steps = append(steps, s.Step)
	}
	return steps, err
}

// asPlanned compares the steps that a change took, killed at its very end, with those that were planned: it takes all
// of them and no other, but for a cut and the record, or the first of them before it rolls back.
func asPlanned(planned, taken []string) error {
	rolledBack := slices.Contains(taken, "rollback")
	own := slices.DeleteFunc(slices.Clone(taken), func(s string) bool { return s == "cut" || s == "rollback" || s == "record" })
	if slices.Equal(own, planned) || rolledBack && len(own) <= len(planned) && slices.Equal(own, planned[:len(own)]) {
		return nil
	}
	return fmt.Errorf("it took the steps %v, a dry run foresaw %v", taken, planned)
}

// crash is one case. It returns the steps that were begun.
func (h *crashHost) crash(t *testing.T, c crashCase) (steps []string, err error) {
	defer h.clean(t)
	if err := h.begin(t, c); err != nil {
		return nil, err
	}
	planned, err := h.planned(t, c)
	if err != nil {
		return nil, err
	}
	rules := rig.WatchRules{Modes: []status.Mode{c.from, c.to}, Unannounced: !c.storeUp, AdminShut: c.to == status.Admin && c.from == status.Online}
	w := rig.Watch(h.Single, rules)
	defer func() {
		for _, f := range w.End() {
			err = errors.Join(err, errors.New(f))
		}
	}()
	if r := h.set(t, c, c.to, c.when+":"+c.step); r.Code != -1 {
		return nil, fmt.Errorf("the command was not killed: exit code %d\n%s", r.Code, r.Stderr)
	}
	if steps, err = h.steps(); err != nil {
		return nil, err
	}
	if c.when == "after" && c.step == "record" {
		if err := asPlanned(planned, steps); err != nil {
			return nil, err
		}
	}
	// An opening that is undone is a closing.
	undone := slices.Contains(c.variant.undone, c.to) && c.opens()
	rules.AdminShut = c.to == status.Admin || undone && c.from == status.Admin || c.followed == "a second command" && c.third() == status.Admin
	shut := w.ClosedFile() != ""
	rules.StaysShut = shut && c.to == status.Offline && c.followed != "a second command"
	w.Allow(rules)
	if !c.variant.mendLate {
		h.mend(t)
	}
	want := c.to
	if undone {
		want = c.from
	}
	switch c.followed {
	case "a reboot":
		if c.variant.mendLate {
			break // nginx could not start
		}
		h.Nginx.Kill(t)
		for _, gone := range []string{h.Nginx.PIDFile(), h.Socket()} {
			if err := os.Remove(gone); err != nil && !errors.Is(err, os.ErrNotExist) {
				return nil, err
			}
		}
		h.Nginx.Start(t)
	case "a second command":
		rules.Modes = append(rules.Modes, c.third())
		w.Allow(rules)
		r := h.set(t, c, c.third(), "")
		if _, err := changeReceiptOf(r); err != nil {
			return nil, err
		}
		if want = c.third(); r.Code == 1 {
			want = "" // whatever holds: what reconcile has to see to is that all agrees
		}
	}
	reconcile := []string{"reconcile", "--json"}
	if c.variant.held {
		reconcile = append(reconcile, c.variant.args...)
	}
	first := h.CLI(t, reconcile...)
	if r := first; r.Code != 0 && r.Code != 1 && r.Code != 3 && r.Code != 4 {
		return nil, fmt.Errorf("reconcile: exit code %d\n%s", r.Code, r.Stderr)
	}
	h.mend(t)
	h.store(t, true)
	r := h.CLI(t, reconcile...)
	if r.Code != 0 && !(r.Code == 4 && c.variant.cut) {
		return nil, fmt.Errorf("%sthe second reconcile: exit code %d", h.account(t, first, r), r.Code)
	}
	rules.Unannounced = false
	w.Allow(rules)
	if err := h.agreed(t, c, want); err != nil {
		return nil, fmt.Errorf("%s%w", h.account(t, first, r), err)
	}
	return steps, nil
}

// account is what is known of how a case went: what the host has noted, what is on record, and what reconcile said.
func (h *crashHost) account(t *testing.T, reconciled ...rig.Result) string {
	t.Helper()
	var b strings.Builder
	for _, name := range []string{"history.jsonl", "barrier.json", "records/demo.json"} {
		data, err := os.ReadFile(filepath.Join(h.State, name))
		fmt.Fprintf(&b, "%s (%v):\n%s\n", name, err, data[max(0, len(data)-4000):])
	}
	for _, r := range reconciled {
		fmt.Fprintf(&b, "reconcile, exit code %d:\n%s%s\n", r.Code, r.Stdout, r.Stderr)
	}
	return b.String()
}

// agreed looks whether all views of the site agree on a mode.
func (h *crashHost) agreed(t *testing.T, c crashCase, want status.Mode) error {
	t.Helper()
	v := rig.ViewOf(t, h.CLI(t, "get", "--json"))
	h.mode = v.Mode
	if v.Code != 0 || len(v.Drift) > 0 || v.Published == nil || v.Published.Mode != v.Mode || v.Live.Mode != v.Mode {
		return fmt.Errorf("%s\nit doesn't end in agreement: exit code %d", v.Text, v.Code)
	}
	if want != "" && v.Mode != want {
		return fmt.Errorf("it ends in %s, want %s", v.Mode, want)
	}
	if !v.Mode.Closed() {
		return nil
	}
	// The machine's end is not ours: what it cut counts as drained. What we cut, only the site's own command vouches for.
	begun := c.step == "cut" || slices.Contains([]string{"settle", "open", "record"}, c.step)
	if unsafe := c.variant.cut && (c.followed != "a reboot" || begun); unsafe != (v.Wanted.SafeSince == nil) {
		return fmt.Errorf("%s\nsafe since %v, but that it was cut and nobody vouched for it is %v", v.Text, v.Wanted.SafeSince, unsafe)
	}
	return nil
}
