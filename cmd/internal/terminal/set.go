package main

// What came of a command, in words: the other half of ui.go.

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status"
)

// receipts prints what came of a change.
func (u *ui) receipts(rs []*maintenance.Receipt) {
	for _, r := range rs {
		if r.Err != nil {
			u.problem(fmt.Sprintf("set %s %s: %s", r.Site, r.Mode, r.Error), receiptHints(r))
		}
		for _, w := range r.Warnings {
			u.warn(w)
		}
		if r.PublishErr != nil {
			u.warn(fmt.Sprintf("not published yet: %v", r.PublishErr))
			for _, hint := range append(hintFor(r.PublishErr), "it is made up for by the next conforma-status publish or set") {
				fmt.Fprintf(u.err, "hint: %s\n", hint)
			}
		}
		fmt.Fprintln(u.people(), receiptLine(r))
	}
	if u.json {
		u.document(siteDocument[*maintenance.Receipt]{1, append([]*maintenance.Receipt{}, rs...)})
	}
}

func receiptLine(r *maintenance.Receipt) string {
	var b strings.Builder
	switch r.Outcome {
	case state.Planned:
		fmt.Fprintf(&b, "%s would go from %s to %s", r.Site, r.Previous, r.Mode)
		if len(r.Steps) == 0 {
			return fmt.Sprintf("%s is %s already: nothing to do", r.Site, r.Mode)
		}
		for i, s := range r.Steps {
			fmt.Fprintf(&b, "\n  %d. %s", i+1, stepWords[s.Step])
		}
		return b.String()
	case state.Shut:
		fmt.Fprintf(&b, "%s is shut by its closed file; the rules of %s are not in force", r.Site, r.Mode)
	case state.Failed:
		fmt.Fprintf(&b, "%s was not changed to %s", r.Site, r.Mode)
		return b.String()
	case state.Unchanged:
		fmt.Fprintf(&b, "%s is %s already", r.Site, r.Mode)
	default:
		fmt.Fprintf(&b, "%s is %s", r.Site, r.Mode)
	}
	if r.Mode.Closed() && r.Outcome != state.Shut {
		fmt.Fprintf(&b, " since %s", clock(r.Since))
		if r.ExpectedUntil != nil {
			fmt.Fprintf(&b, ", expected back %s", clock(*r.ExpectedUntil))
		}
	}
	switch {
	case !r.Mode.Closed():
	case r.Outcome == state.Shut:
		b.WriteString("; NOT SAFE to take a snapshot until it is finished")
	case r.Mode == status.Admin && r.SafeSince != nil:
		fmt.Fprintf(&b, "; of before nothing is left since %s", clock(*r.SafeSince))
	case r.SafeSince != nil:
		fmt.Fprintf(&b, "; safe to take a snapshot since %s", clock(*r.SafeSince))
	case r.Left > 0:
		fmt.Fprintf(&b, "; NOT SAFE to take a snapshot: %d still left", r.Left)
	case r.Unsettled:
		b.WriteString("; NOT SAFE to take a snapshot: the settled command does not vouch for the application")
	case r.WasCut:
		b.WriteString("; NOT SAFE to take a snapshot: something was cut that the application may still be working on")
	default:
		b.WriteString("; NOT SAFE to take a snapshot: it is not known whether something of before is still at work")
	}
	if !r.Published {
		b.WriteString(" (not published yet)")
	}
	return b.String()
}

// receiptHints says what to do after a change that could not be completed.
func receiptHints(r *maintenance.Receipt) []string {
	var hints []string
	switch {
	case fileHint(r.Err) != "":
		hints = append(hints, fileHint(r.Err))
	case errors.Is(r.Err, control.ErrNotInstalled):
		hints = append(hints, hintNotInstalled)
	case errors.Is(r.Err, workers.ErrNotRunning):
		hints = append(hints, hintNotRunning)
		if errors.Is(r.Err, control.ErrRefused) {
			hints = append(hints, hintBroken)
		}
	case errors.Is(r.Err, workers.ErrHidden):
		hints = append(hints, hintHidden)
	case errors.Is(r.Err, workers.ErrNotMaster), errors.Is(r.Err, maintenance.ErrElsewhere):
		hints = append(hints, hintPIDFile)
	case errors.Is(r.Err, control.ErrNeedsClientCert):
		hints = append(hints, hintCertificate)
	case errors.Is(r.Err, control.ErrNotOurs):
		hints = append(hints, fmt.Sprintf(hintNotOurs, filepath.Join("CONF_DIR/sites", r.Site+".conf")))
	case errors.Is(r.Err, maintenance.ErrSmoke):
		hints = append(hints, hintUnanswered)
	case errors.Is(r.Err, control.ErrRefused):
		hints = append(hints, hintBroken)
	default:
		hints = append(hints, hintNotTakenUp)
	}
	if errors.Is(r.Err, maintenance.ErrNotShut) {
		hints = append(hints, hintNotShut)
	}
	return hints
}

// fileHint says what to do where a file can't be written, "" where that is not what is wrong.
func fileHint(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission) && os.Geteuid() == 0:
		return hintModule
	case errors.Is(err, fs.ErrPermission):
		return hintRoot
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return hintNoRoom
	case errors.Is(err, syscall.EROFS):
		return hintReadOnly
	case errors.Is(err, syscall.EBUSY), errors.Is(err, syscall.EXDEV): // from rename(2)
		return hintMountPoint
	}
	return ""
}

// clock is a time as an operator reads it: in the machine's zone, with the date.
func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

// views prints what get found.
func (u *ui) views(vs []maintenance.View) {
	if u.json {
		u.document(siteDocument[maintenance.View]{1, vs})
	}
	for _, v := range vs {
		w := u.people()
		fmt.Fprintf(w, "%s\n", v.Site)
		fmt.Fprintf(w, "  %-10s %s\n", "wanted", wantedWords(v))
		fmt.Fprintf(w, "  %-10s %s\n", "on disk", rulesWords(v.OnDisk.Mode, v.OnDisk.Revision, v.OnDisk.Closed))
		fmt.Fprintf(w, "  %-10s %s\n", "nginx", rulesWords(v.Live.Mode, v.Live.Revision, v.Live.Closed))
		fmt.Fprintf(w, "  %-10s %s\n", "published", publishedWords(v.Published))
		for _, d := range v.Drift {
			fmt.Fprintf(w, "  drift: %s\n", d)
		}
	}
}

func wantedWords(v maintenance.View) string {
	text := string(v.Wanted.Mode)
	if !v.Wanted.OnRecord {
		return text + " (not on record)"
	}
	text += " since " + clock(*v.Wanted.Since)
	if v.Wanted.ExpectedUntil != nil {
		text += ", expected back " + clock(*v.Wanted.ExpectedUntil)
	}
	if v.Wanted.Mode == status.Offline {
		if v.Wanted.SafeSince != nil {
			text += ", safe to take a snapshot since " + clock(*v.Wanted.SafeSince)
		} else {
			text += ", NOT SAFE to take a snapshot"
		}
	}
	return text
}

func rulesWords(mode status.Mode, revision string, closed bool) string {
	if mode == "" {
		return "no answer"
	}
	text := fmt.Sprintf("%s (revision %s)", mode, revision)
	if closed {
		text += ", shut by the closed file"
	}
	return text
}

func publishedWords(d *status.Document) string {
	if d == nil {
		return "nothing"
	}
	return fmt.Sprintf("%s (seq %d)", d.Mode, d.Seq)
}

// rendered prints where the rules were written and what to do with them.
func (u *ui) rendered(paths []string, http string, siteFile func(string) string, sites []config.Site) {
	for _, p := range paths {
		fmt.Fprintf(u.out, "wrote %s\n", p)
	}
	if len(paths) == 0 {
		fmt.Fprintln(u.out, "the rules on disk are up to date")
	}
	fmt.Fprintf(u.out, "in http {}:                    include %s;\n", http)
	for _, s := range sites {
		fmt.Fprintf(u.out, "first in %s's server {}: include %s;\n", s.Name, siteFile(s.Name))
	}
}

func (u *ui) built(path string, size int) { fmt.Fprintf(u.out, "wrote %s (%d bytes)\n", path, size) }

// sent says how far the uploading, and the deleting, has got.
func (u *ui) sent(c site.Change, n, total int) {
	u.live(fmt.Sprintf("%d of %d sent: %s", n, total, c.Key))
}

// planned prints what publish is about to do.
func (u *ui) planned(ps []publication, prune bool) {
	marks := map[site.Action]string{site.New: "+", site.Changed: "~", site.Unchanged: "=", site.Stale: "-"}
	w := u.people()
	for _, p := range ps {
		fmt.Fprintf(w, "%s\n", p.Site)
		for _, f := range p.Files {
			switch {
			case f.Action == site.Stale && !prune:
				fmt.Fprintf(w, "  ? %-10s %s (no longer built: --prune deletes it)\n", f.Action, f.Key)
			case f.Action == site.Stale:
				fmt.Fprintf(w, "  - %-10s %s\n", f.Action, f.Key)
			default:
				fmt.Fprintf(w, "  %s %-10s %s (%d bytes)\n", marks[f.Action], f.Action, f.Key, f.Size)
			}
		}
	}
}

// mended prints what publish sent once more.
func (u *ui) mended(keys []string) {
	for _, key := range keys {
		fmt.Fprintf(u.people(), "  ~ sent again %s, which the store had with other headers\n", key)
	}
}

// published prints what publish did.
func (u *ui) published(ps []publication, dryRun, prune bool) {
	if u.json {
		u.document(siteDocument[publication]{1, ps})
	}
	w := u.people()
	for _, p := range ps {
		counts := map[site.Action]int{}
		for _, f := range p.Files {
			counts[f.Action]++
		}
		gone := "no longer built"
		if prune {
			gone = "deleted"
		}
		fmt.Fprintf(w, "%s: %d new, %d changed, %d unchanged, %d %s\n",
			p.Site, counts[site.New], counts[site.Changed], counts[site.Unchanged], counts[site.Stale], gone)
		if dryRun {
			continue
		}
		mark := "="
		if p.Status.Written {
			mark = "+"
		}
		fmt.Fprintf(w, "  %s %-10s %s (%s, seq %d)\n", mark, "status", p.Status.Key, p.Status.Mode, p.Status.Seq)
		for _, d := range p.Differs {
			u.warn(fmt.Sprintf("the world sees it otherwise: %s %s", d.URL, d.Problem))
		}
		if len(p.Differs) == 0 {
			fmt.Fprintln(w, "  seen from outside, it is what was sent")
		}
	}
	if dryRun {
		fmt.Fprintln(w, "nothing was uploaded: this was a dry run")
	}
}
