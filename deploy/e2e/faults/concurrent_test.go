package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/status"
)

// TestConcurrentSets starts many changes at once. They have to come one after the other: each begins with the mode in
// which the one before it ended, and the last one's stays.
func TestConcurrentSets(t *testing.T) {
	t.Parallel()
	concurrentSets(t, 12)
}

func concurrentSets(t *testing.T, calls int) {
	t.Helper()
	chance := rig.NewChance(t)
	h := rig.OnlineSingle(t)
	modes := []status.Mode{status.Online, status.Offline, status.Admin}
	w := rig.Watch(h, rig.WatchRules{Modes: modes, AdminShut: true})
	var running []*rig.Running
	for range calls {
		mode := modes[chance.IntN(len(modes))]
		running = append(running, h.Start(t, rig.Call{Args: []string{"set", string(mode), "--json"}}))
	}
	var done []changeReceipt
	for _, r := range running {
		res := r.Wait(t)
		rec, err := changeReceiptOf(res)
		if err != nil {
			t.Fatal(err)
		}
		if res.Code != 0 {
			t.Errorf("set %s: exit code %d\n%s", rec.Mode, res.Code, res.Stderr)
		}
		done = append(done, rec)
	}
	for _, f := range w.End() {
		t.Error(f)
	}
	// The sequence number says in which order they came. One that found nothing to do has that of the change before it.
	slices.SortStableFunc(done, func(a, b changeReceipt) int {
		if a.Seq != b.Seq {
			return int(a.Seq) - int(b.Seq)
		}
		return strings.Compare(a.Outcome, b.Outcome) // "done" comes before "unchanged"
	})
	mode, seq, changed := status.Online, uint64(1), 0
	for _, r := range done {
		switch r.Outcome {
		case "done":
			if r.Seq != seq+1 || r.Previous != mode {
				t.Errorf("after %s (seq %d) came a change from %s to %s (seq %d)", mode, seq, r.Previous, r.Mode, r.Seq)
			}
			mode, seq = r.Mode, r.Seq
			changed++
		case "unchanged":
			if r.Seq != seq || r.Mode != mode {
				t.Errorf("at %s (seq %d) nothing was to be done for %s (seq %d)", mode, seq, r.Mode, r.Seq)
			}
		default:
			t.Errorf("set %s: %s: %s", r.Mode, r.Outcome, r.Error)
		}
	}
	if v := rig.Agreed(t, h, mode); v.Wanted.Seq != seq {
		t.Errorf("it ends with seq %d, the last to have the lock left %d", v.Wanted.Seq, seq)
	}
	fmt.Printf("%s: %d calls, %d of them changed something\n", t.Name(), calls, changed)
}

// TestLockDiesWithItsHolder: who waits is told for whom; a holder that is killed lets the next one in, which finishes
// what it had begun.
func TestLockDiesWithItsHolder(t *testing.T) {
	t.Parallel()
	h := rig.OnlineSingle(t)
	// A reload that waits until it may.
	gate := filepath.Join(h.Nginx.Dir, "go")
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	h.Configure(t, rig.Settings{Reload: []string{"sh", "-c", "read word <" + gate}})
	holder := h.Start(t, rig.Call{Args: []string{"set", "offline", "--reason", "to hold the lock"}})
	rig.WaitFor(t, "the site to be shut", func() bool {
		_, err := os.Stat(h.ClosedFile())
		return err == nil
	})
	rig.Halt(t, holder.PID()) // or it would give its reload up in the end
	h.Configure(t, rig.Settings{})
	var waiting []*rig.Running
	for range 3 {
		waiting = append(waiting, h.Start(t, rig.Call{Args: []string{"set", "offline", "--json"}}))
	}
	want := fmt.Sprintf(`(process %d, "set offline --reason to hold the lock", since `, holder.PID())
	for _, r := range waiting {
		rig.WaitFor(t, "it to say for whom it waits", func() bool { return strings.Contains(r.Said(t).Stderr, want) })
		if r.Ended() {
			t.Error("it didn't wait")
		}
	}
	holder.Signal(syscall.SIGKILL)
	holder.Wait(t)
	resumed := 0
	for _, r := range waiting {
		res := r.Wait(t).Want(t, 0)
		if strings.Contains(res.Stderr, "an earlier change of demo was interrupted: it is finished first") {
			resumed++
		}
	}
	if resumed != 1 {
		t.Errorf("%d of them finished what was interrupted, want one", resumed)
	}
	rig.Agreed(t, h, status.Offline)
	// The killed one's reload may still wait. Opened for reading too, a pipe doesn't make us wait for it.
	pipe, err := os.OpenFile(gate, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	if _, err := pipe.WriteString("go\n"); err != nil {
		t.Error(err)
	}
}
