package terminal

import (
	"fmt"

	"github.com/msupply-foundation/conforma-status/cmd/internal/publishing"
	"github.com/msupply-foundation/conforma-status/site"
)

// Built says that a file of the maintenance site was written, and its size in bytes.
func (t *Terminal) Built(path string, size int) {
	fmt.Fprintf(t.Out, "wrote %s (%d bytes)\n", path, size)
}

// Sent says how far the uploading, and the deleting, has got, where a line can be shown anew: each file was named
// before.
func (t *Terminal) Sent(c site.Change, n, total int) {
	if !t.live.rewrites || t.Words == Quiet {
		return
	}
	t.live.show(fmt.Sprintf("%d of %d sent: %s", n, total, c.Key))
	if n == total {
		t.live.end()
	}
}

// Planned prints what publish is about to do, and with --verbose what it leaves as it is.
func (t *Terminal) Planned(ps []publishing.Publication, prune bool) {
	marks := map[site.Action]string{site.New: "+", site.Changed: "~", site.Unchanged: "=", site.Stale: "-"}
	w := t.unlessQuiet()
	for _, p := range ps {
		fmt.Fprintf(w, "%s\n", p.Site)
		for _, f := range p.Files {
			switch {
			case f.Action == site.Unchanged && t.Words != Verbose:
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

// Mended prints what publish sent once more.
func (t *Terminal) Mended(keys []string) {
	for _, key := range keys {
		fmt.Fprintf(t.unlessQuiet(), "  ~ sent again %s, which the store had with other headers\n", key)
	}
}

// Published prints what publish did.
func (t *Terminal) Published(ps []publishing.Publication, dryRun, prune bool) {
	documentOf(t, ps)
	w := t.unlessQuiet()
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
			t.Warn(fmt.Sprintf("seen from outside, it differs: %s %s", d.URL, d.Problem))
		}
		if len(p.Differs) == 0 {
			fmt.Fprintln(w, "  seen from outside, it is what was sent")
		}
	}
	if dryRun {
		fmt.Fprintln(w, "nothing was uploaded: this was a dry run")
	}
}
