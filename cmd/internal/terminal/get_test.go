package terminal

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/status"
)

// TestViewWords: what can't be seen is not said to be nothing, and the kernel is not said to do more than it does.
func TestViewWords(t *testing.T) {
	barrier := maintenance.InKernel{Barrier: true, Tried: &maintenance.Tried{Outside: 2}}
	drift := func(by maintenance.Witness, err error) []maintenance.Drift {
		return []maintenance.Drift{{Shown: by, Text: "why", Err: err}}
	}
	why := errors.New("store unavailable")
	for name, c := range map[string]struct {
		change func(*maintenance.View)
		want   string
	}{
		"nothing is published":        {func(v *maintenance.View) { v.Published, v.Drift = nil, drift(maintenance.ByStore, nil) }, "published  nothing"},
		"the store can't be read":     {func(v *maintenance.View) { v.Published, v.Drift = nil, drift(maintenance.ByStore, why) }, "published  it can't be read"},
		"nor can nginx be asked":      {func(v *maintenance.View) { v.Published, v.Drift = nil, drift(maintenance.ByNginx, why) }, "published  nothing"},
		"it is read, and is outdated": {func(v *maintenance.View) { v.Drift = drift(maintenance.ByStore, why) }, "published  offline (seq 42)"},
		"no rules":                    {func(v *maintenance.View) { v.OnDisk.Mode = "" }, "on disk    no rules of conforma-status"},
		"nginx doesn't answer":        {func(v *maintenance.View) { v.Live.Mode = "" }, "nginx      no answer"},
		"the kernel in offline":       {func(v *maintenance.View) { v.Kernel = barrier }, "kernel     refuses connections to the application, 0 from nginx and 2 from outside so far"},
		"the kernel in admin": {func(v *maintenance.View) { v.Kernel, v.Wanted.Mode = barrier, status.Admin },
			"kernel     refuses connections to the application from outside this machine, 0 from nginx and 2 from outside so far"},
	} {
		v := views()[0]
		c.change(&v)
		var out strings.Builder
		New(&out, &out).Views([]maintenance.View{v})
		if !strings.Contains(out.String(), "  "+c.want+"\n") {
			t.Errorf("%s: it doesn't say %q:\n%s", name, c.want, out.String())
		}
	}
}

// TestGraceQuiet: how far a closing has got is not said with --quiet.
func TestGraceQuiet(t *testing.T) {
	for words, want := range map[Words]string{Plain: "  grace: 0 s of 1 s, no settled command\n", Quiet: ""} {
		var out strings.Builder
		shown := New(&out, &out)
		shown.Words = words
		if shown.Grace(0, time.Second); out.String() != want {
			t.Errorf("it says %q, want %q", out.String(), want)
		}
	}
}
