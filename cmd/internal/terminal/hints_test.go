package terminal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/publishing"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/status/fault"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// doing is an error as a command gets it: with what was being done before it.
func doing(err error) error { return fmt.Errorf("do something: %w", err) }

func TestHints(t *testing.T) {
	_, missing := gate.ReadEnvFile("/nowhere/demo.env")
	there, err := store.Open("dir:/nowhere/at/all", store.S3Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, noStore := there.List(t.Context(), "")
	faults := fault.List{{Key: "store", Line: 3, Hint: "write it"}, {Key: "site.name", Line: 9}}
	for name, c := range map[string]struct {
		err  error
		want []string // how each begins
	}{
		"nothing is known":                         {errors.New("why"), nil},
		"of a command":                             {doing(Advise(errors.New("why"), "do this", "", "or that")), []string{"do this", "or that"}},
		"a command knows more than the kind":       {Advise(doing(state.ErrBusy), "do this"), []string{"do this"}},
		"nothing from a command":                   {Advise(doing(state.ErrBusy), ""), []string{"wait for it"}},
		"a kind":                                   {doing(state.ErrRecord), []string{"move the damaged file away"}},
		"a file, which says more than what it was": {doing(errors.Join(control.ErrRefused, syscall.ENOSPC)), []string{"make room"}},
		"in the name of a site":                    {doing(control.ErrNotOurs), []string{`put "include CONF_DIR/sites/NAME.conf;"`}},
		"nginx, which is not running":              {doing(workers.ErrNotRunning), []string{"start nginx: it comes up shut"}},
		"and refuses":                              {doing(fmt.Errorf("%w (%w)", control.ErrRefused, workers.ErrNotRunning)), []string{"start nginx: it comes up shut", "mend what nginx names"}},
		"at boot":                                  {doing(fmt.Errorf("%w: %w", workers.ErrNotRunning, maintenance.ErrNginxNeeded)), []string{"start nginx: it comes up as it was"}},
		"a secret":                                 {doing(missing), []string{"put a line JWT_SECRET="}},
		"a store that isn't there":                 {doing(noStore), []string{store.Hint(noStore)}},
		"a store that is away":                     {doing(store.ErrUnavailable), []string{"see that the store is there"}},
		"a store, half way":                        {errors.Join(publishing.ErrUnfinished, noStore), []string{store.Hint(noStore), "then run publish again"}},
		"faults of the configuration":              {doing(faults), []string{"store (line 3): write it"}},
		"and of a command":                         {Advise(doing(faults), "do this"), []string{"do this", "store (line 3): write it"}},
		"without a hint":                           {doing(faults[1:]), []string{"mend the configuration"}},
		"faults of the content":                    {errors.Join(publishing.ErrFaults, faults, faults), []string{"write it"}},
		"of the content, without a hint":           {errors.Join(publishing.ErrFaults, faults[1:]), nil},
		"no configuration":                         {doing(config.ErrNoFile), []string{"write one there"}},
	} {
		got := hintsAbout(c.err, "NAME")
		if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got, want := hintsAbout(fs.ErrPermission, "NAME")[0], "run it as root"; os.Geteuid() != 0 && !strings.HasPrefix(got, want) {
		t.Errorf("to an ordinary user: %q, want %s", got, want)
	}
}

// Each kind of error is told once what to do, in words without a capital or a full stop, and the words of no other
// keep it from that.
func TestKnown(t *testing.T) {
	all := known()
	for i, a := range all {
		if slices.ContainsFunc(all[:i], func(b advice) bool { return errors.Is(a.kind, b.kind) }) {
			t.Errorf("%v: it stands there twice", a.kind)
		}
		if a.hint == "" || strings.HasSuffix(a.hint, ".") || a.hint[:1] != strings.ToLower(a.hint[:1]) {
			t.Errorf("%v: %q", a.kind, a.hint)
		}
		if got := hintsAbout(doing(a.kind), "NAME"); len(got) == 0 {
			t.Errorf("%v: no hint", a.kind)
		}
	}
}

// A change that could not be completed has a hint, whatever it failed of.
func TestReceiptHints(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want []string
	}{
		"unknown":                 {errors.New("why"), []string{"nginx's error log says why"}},
		"unknown, and it is open": {fmt.Errorf("why: %w", maintenance.ErrNotShut), []string{"nginx's error log says why", "REQUESTS STILL REACH"}},
		"nobody knows":            {fmt.Errorf("why: %w", maintenance.ErrMaybeOpen), []string{"nginx's error log says why", "it could not be seen whether requests"}},
		"known, and it is open":   {errors.Join(control.ErrNotOurs, maintenance.ErrNotShut), []string{`put "include CONF_DIR/sites/demo.conf;"`, "REQUESTS STILL REACH"}},
	} {
		got := receiptHints(&maintenance.Receipt{Site: "demo", Err: c.err})
		if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
