package terminal

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/status"
)

// Views prints what get found.
func (t *Terminal) Views(vs []maintenance.View) {
	documentOf(t, vs)
	for _, v := range vs {
		t.view(t.people(), v)
	}
}

// view prints what each witness says of a site.
func (t *Terminal) view(w io.Writer, v maintenance.View) {
	if t.Words == Quiet && len(v.Drift) == 0 {
		return
	}
	fmt.Fprintf(w, "%s\n", v.Site)
	t.row(w, "wanted", wantedWords(v))
	t.row(w, "on disk", rulesWords(v.OnDisk.Mode, v.OnDisk.Revision, v.OnDisk.Closed, "no rules of conforma-status"))
	t.row(w, "nginx", rulesWords(v.Live.Mode, v.Live.Revision, v.Live.Closed, "no answer"))
	if v.Wanted.Mode.Closed() {
		t.row(w, "kernel", kernelWords(v.Kernel, v.Wanted.Mode))
	}
	t.row(w, "published", publishedWords(v.Published, v.Drift))
	t.drifted(w, v.Drift)
}

// kernelWords say what the kernel barrier does. In admin mode nginx has to reach the application.
func kernelWords(k maintenance.InKernel, mode status.Mode) string {
	switch {
	case k.Tried != nil && mode == status.Admin:
		return "refuses connections to the application from outside this machine" + triedWords(*k.Tried)
	case k.Tried != nil:
		return "refuses connections to the application" + triedWords(*k.Tried)
	case k.Error != "":
		return "not seen: " + k.Error
	}
	return "no barrier"
}

// triedWords say how often the kernel has refused a connection, "" for never.
func triedWords(t maintenance.Tried) string {
	if t.Nginx+t.Outside == 0 {
		return ""
	}
	return fmt.Sprintf(", %d from nginx and %d from outside so far", t.Nginx, t.Outside)
}

// PublishedViews prints what get found on a machine that is no host.
func (t *Terminal) PublishedViews(vs []maintenance.PublishedView) {
	documentOf(t, vs)
	w := t.people()
	for _, v := range vs {
		if t.Words == Quiet && len(v.Drift) == 0 {
			continue
		}
		text := publishedWords(v.Published, v.Drift)
		if d := v.Published; d != nil {
			text += sinceWords(d.Since, d.ExpectedUntil)
		}
		fmt.Fprintf(w, "%s\n", v.Site)
		t.row(w, "published", text)
		t.drifted(w, v.Drift)
	}
	fmt.Fprintln(t.unlessQuiet(), "What is wanted, on disk and live in nginx is seen on the application's host.")
}

// row prints what one witness says of a site. Its words are put below each other where the terminal ends.
func (t *Terminal) row(w io.Writer, witness, says string) {
	const indent = "             "
	fmt.Fprintf(w, "  %-10s %s", witness, strings.TrimPrefix(wrapped(says, t.columns(w), indent), indent))
}

func (t *Terminal) drifted(w io.Writer, drift []maintenance.Drift) {
	for _, d := range drift {
		fmt.Fprintf(w, "  %s %s", t.paint(w, yellow, "drift:"), strings.TrimPrefix(wrapped(d.String(), t.columns(w), "         "), "         "))
	}
}

func sinceWords(since time.Time, expectedUntil *time.Time) string {
	text := " since " + clock(since)
	if expectedUntil != nil {
		text += ", expected back " + clock(*expectedUntil)
	}
	return text
}

func wantedWords(v maintenance.View) string {
	text := string(v.Wanted.Mode)
	if !v.Wanted.OnRecord {
		return text + " (never set on this machine)"
	}
	text += sinceWords(*v.Wanted.Since, v.Wanted.ExpectedUntil)
	if v.Wanted.Mode == status.Offline {
		if v.Wanted.SafeSince != nil {
			text += ", safe to take a snapshot since " + clock(*v.Wanted.SafeSince)
		} else {
			text += ", NOT SAFE to take a snapshot: " + notSafeWords[v.Wanted.NotSafe]
		}
	}
	return text
}

// rulesWords say which rules there are, and none where there are none.
func rulesWords(mode status.Mode, revision string, closed bool, none string) string {
	if mode == "" {
		return none
	}
	text := fmt.Sprintf("%s (revision %s)", mode, revision)
	if closed {
		text += ", shut by the closed file"
	}
	return text
}

// publishedWords say what visitors are told. What is there and can't be read is among the drift.
func publishedWords(d *status.Document, drift []maintenance.Drift) string {
	unread := func(d maintenance.Drift) bool { return d.Shown == maintenance.ByStore && d.Err != nil }
	switch {
	case d == nil && slices.ContainsFunc(drift, unread):
		return "it can't be read"
	case d == nil:
		return "nothing"
	}
	return fmt.Sprintf("%s (seq %d)", d.Mode, d.Seq)
}
