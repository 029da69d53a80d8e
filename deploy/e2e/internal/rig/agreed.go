package rig

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/status"
)

// OnlineSingle puts up a host with one site that has been set online.
func OnlineSingle(t *testing.T) *Single {
	t.Helper()
	h := NewSingle(t)
	SetOnline(t, h)
	return h
}

// SetOnline installs the host's site and sets it online.
func SetOnline(t *testing.T, h *Single) {
	t.Helper()
	WriteFile(t, h.Enabled("none.conf"), "") // for the include that matches it
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
	Kernel    struct{ Barrier bool }
	Published *status.Document
	Drift     []string

	Code int
	Text string
}

func ViewOf(t *testing.T, r Result) singleView {
	t.Helper()
	var doc struct{ Sites []singleView }
	if err := json.Unmarshal([]byte(r.Stdout), &doc); err != nil || len(doc.Sites) != 1 {
		t.Fatalf("get: exit code %d, %v\n%s\n%s", r.Code, err, r.Stdout, r.Stderr)
	}
	v := doc.Sites[0]
	v.Code, v.Text = r.Code, r.Stdout
	return v
}

// Agreed fails the test unless everybody agrees on the site's mode: the record, the disk, nginx, and what is published.
func Agreed(t *testing.T, h *Single, mode status.Mode) singleView {
	t.Helper()
	v := ViewOf(t, h.CLI(t, "get", "--json"))
	if v.Code != 0 || len(v.Drift) > 0 || v.Mode != mode || v.Live.Mode != mode || v.Live.Closed != (mode == status.Offline) ||
		v.Published == nil || v.Published.Mode != mode {
		t.Fatalf("not all agree on %s: exit code %d\n%s", mode, v.Code, v.Text)
	}
	if got := Lets(t, h); got != mode {
		t.Fatalf("nginx lets in what %s does, want %s", got, mode)
	}
	return v
}

// Lets is the mode that visitors find.
func Lets(t *testing.T, h *Single) status.Mode {
	t.Helper()
	for _, v := range visits {
		r := h.Client().Do(t, Navigation(v.target))
		if r.Header.Get("X-App") != "" {
			return v.least
		}
	}
	return status.Offline
}

func ClosedFileIsThere(h *Single) bool {
	_, err := os.Stat(h.ClosedFile())
	return err == nil
}

// Says fails the test unless the command wrote all of these.
func Says(t *testing.T, r Result, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(r.Stdout+r.Stderr, w) {
			t.Errorf("it doesn't say %q:\n%s%s", w, r.Stdout, r.Stderr)
		}
	}
}
