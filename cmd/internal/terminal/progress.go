package terminal

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

var stepWords = map[maintenance.Step]string{
	maintenance.StepAnnounce: "tell visitors",
	maintenance.StepShut:     "shut the site",
	maintenance.StepCount:    "count connections to the application",
	maintenance.StepRead:     "look for ways around the rules",
	maintenance.StepInstall:  "put the new rules in place",
	maintenance.StepTest:     "test nginx's configuration",
	maintenance.StepLift:     "open the kernel barrier",
	maintenance.StepReload:   "reload nginx",
	maintenance.StepProbe:    "check that nginx uses the new rules",
	maintenance.StepDrain:    "wait for earlier requests to end",
	maintenance.StepRefuse:   "close the kernel barrier",
	maintenance.StepCut:      "cut the requests that are left",
	maintenance.StepSettle:   "ask whether the application is idle",
	maintenance.StepGrace:    "give the application time to end",
	maintenance.StepSmoke:    "try the application",
	maintenance.StepOpen:     "let people in again",
	maintenance.StepSee:      "check that the site answers",
	maintenance.StepPublish:  "tell visitors",
	maintenance.StepRecord:   "write the record",
	maintenance.StepRollback: "put the previous rules back",
}

// went is what is said in one line of the steps that went well.
type went struct {
	steps int
	took  time.Duration
}

// Begin is part of maintenance.Progress.
func (t *Terminal) Begin(step maintenance.Step, _ []string) {
	if t.live.rewrites && t.Words != Quiet {
		t.live.show(stepWords[step] + " …")
	}
}

// End is part of maintenance.Progress.
func (t *Terminal) End(step maintenance.Step, took time.Duration, err error) {
	t.live.end()
	switch {
	case err != nil:
		fmt.Fprintf(t.Err, "  %-36s %8s  %s\n", stepWords[step], lasted(took), t.paint(t.Err, red, "FAILED"))
	case t.Words == Verbose:
		fmt.Fprintf(t.Err, "  %-36s %8s  ok\n", stepWords[step], lasted(took))
	default:
		t.went.steps++
		t.went.took += took
	}
}

// wentWell says in one line how many steps went well since it was called last.
func (t *Terminal) wentWell() {
	if t.went.steps > 0 && t.Words == Plain {
		fmt.Fprintf(t.Err, "  %s in %s; --verbose names them\n", count(t.went.steps, "step"), lasted(t.went.took))
	}
	t.went = went{}
}

// lasted is how long a step took. It has no µ, which not every terminal can show.
func lasted(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.1fms", d.Seconds()*1000)
	}
	return d.Round(100 * time.Millisecond).String()
}

// Draining is part of maintenance.Progress.
func (t *Terminal) Draining(site string, left workers.Remaining, after, atMost time.Duration) {
	if t.Words == Quiet {
		return
	}
	what := cmp.Or(left.Words(), "nothing seen yet")
	t.live.show(fmt.Sprintf("draining: %s, %d s of %d s", what, int(after.Seconds()), int(atMost.Seconds())))
}

// Grace is part of maintenance.Progress.
func (t *Terminal) Grace(after, atMost time.Duration) {
	if t.Words == Quiet {
		return
	}
	t.live.show(fmt.Sprintf("grace: %d s of %d s, no settled command", int(after.Seconds()), int(math.Ceil(atMost.Seconds()))))
}

// Resuming is part of maintenance.Progress.
func (t *Terminal) Resuming(sites []string) {
	fmt.Fprintf(t.Err, "an earlier change of %s was interrupted: it is finished first\n", strings.Join(sites, ", "))
}

// SetAside is part of maintenance.Progress.
func (t *Terminal) SetAside(path string, why error) {
	t.Warn(fmt.Sprintf("%v; it is kept as %s", why, path))
}

// Waiting is part of maintenance.Progress.
func (t *Terminal) Waiting(h state.Holder) {
	fmt.Fprintf(t.Err, "waiting for %s (process %d, \"%s\", since %s)\n", oneLine(h.Operator), h.PID, oneLine(h.Command), clock(h.Since))
}
