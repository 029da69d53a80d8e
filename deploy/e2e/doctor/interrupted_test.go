package doctor

import (
	"encoding/json"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestInterrupted: half an examination says nothing, but that it was interrupted, in one document.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	h := rig.OnlineSingle(t)
	gate := filepath.Join(h.Nginx.Dir, "go")
	rig.Check(t, syscall.Mkfifo(gate, 0o600))
	h.Configure(t, rig.Settings{Test: []string{"sh", "-c", "read word <" + gate}})
	doctor := h.Start(t, rig.Call{Args: []string{"doctor", "--json"}})
	rig.WaitFor(t, "doctor to have nginx test its configuration", func() bool {
		pipe, err := os.OpenFile(gate, os.O_WRONLY|syscall.O_NONBLOCK, 0) // fails until somebody reads (fifo(7))
		if err == nil {
			t.Cleanup(func() { pipe.Close() })
		}
		return err == nil
	})
	doctor.Signal(syscall.SIGINT)
	got := doctor.Wait(t).Want(t, 1)
	var doc struct{ Error string }
	if err := json.Unmarshal([]byte(got.Stdout), &doc); err != nil || doc.Error != "examine this host: it was interrupted" {
		t.Errorf("%v, %s", err, got.Stdout)
	}
}
