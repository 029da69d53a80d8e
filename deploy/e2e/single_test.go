package e2e

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/status"
)

// newSingle puts up a host with one site that has been set online.
func newSingle(t *testing.T) *rig.Single {
	t.Helper()
	h := rig.NewSingle(t)
	setOnline(t, h)
	return h
}

// setOnline installs the host's site and sets it online.
func setOnline(t *testing.T, h *rig.Single) {
	t.Helper()
	rig.WriteFile(t, h.Enabled("none.conf"), "") // for the include that matches it
	h.Install(t)
	h.CLI(t, "set", "online").Want(t, 0)
}

// singleView is what a test reads of "get --json".
type singleView struct {
	Mode   status.Mode
	Wanted struct {
		Seq       uint64
		SafeSince *time.Time
	}
	Live struct {
		Mode     status.Mode
		Revision string
		Closed   bool
	}
	Published *status.Document
	Drift     []string

	code int
	text string
}

func viewOf(t *testing.T, r rig.Result) singleView {
	t.Helper()
	var doc struct{ Sites []singleView }
	if err := json.Unmarshal([]byte(r.Stdout), &doc); err != nil || len(doc.Sites) != 1 {
		t.Fatalf("get: exit code %d, %v\n%s\n%s", r.Code, err, r.Stdout, r.Stderr)
	}
	v := doc.Sites[0]
	v.code, v.text = r.Code, r.Stdout
	return v
}

// agreed fails the test unless everybody agrees on the site's mode: the record, the disk, nginx, and what is published.
func agreed(t *testing.T, h *rig.Single, mode status.Mode) singleView {
	t.Helper()
	v := viewOf(t, h.CLI(t, "get", "--json"))
	if v.code != 0 || len(v.Drift) > 0 || v.Mode != mode || v.Live.Mode != mode || v.Live.Closed != (mode == status.Offline) ||
		v.Published == nil || v.Published.Mode != mode {
		t.Fatalf("not all agree on %s: exit code %d\n%s", mode, v.code, v.text)
	}
	if got := lets(t, h); got != mode {
		t.Fatalf("nginx lets in what %s does, want %s", got, mode)
	}
	return v
}

// lets is the mode that visitors find.
func lets(t *testing.T, h *rig.Single) status.Mode {
	t.Helper()
	for _, v := range visits {
		r := h.Client().Do(t, rig.Navigation(v.target))
		if r.Header.Get("X-App") != "" {
			return v.least
		}
	}
	return status.Offline
}

func closedFileIsThere(h *rig.Single) bool {
	_, err := os.Stat(h.ClosedFile())
	return err == nil
}

// says fails the test unless the command wrote all of these.
func says(t *testing.T, r rig.Result, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(r.Stdout+r.Stderr, w) {
			t.Errorf("it doesn't say %q:\n%s%s", w, r.Stdout, r.Stderr)
		}
	}
}
