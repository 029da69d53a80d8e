package maintenance

import (
	"errors"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/status"
)

// TestWorkersBehindTheBarrier: how many old workers are waited for, by whether clients come that can't be told apart,
// as over QUIC, and by what they hold.
func TestWorkersBehindTheBarrier(t *testing.T) {
	for name, c := range map[string]struct {
		unseen, gathers, refused, without bool
		mode                              status.Mode
		first, later                      int // at once, and when it has been waited for a while
	}{
		"clients can be seen":                    {mode: status.Offline},
		"clients can't be seen":                  {mode: status.Offline, unseen: true, first: 1},
		"an upload is gathered":                  {mode: status.Offline, unseen: true, gathers: true, first: 1, later: 1},
		"an upload is gathered, and refused":     {mode: status.Offline, unseen: true, gathers: true, refused: true},
		"without the barrier":                    {mode: status.Offline, unseen: true, without: true, first: 1, later: 1},
		"nginx is to go on with administrators'": {mode: status.Admin, unseen: true, first: 1, later: 1},
	} {
		t.Run(name, func(t *testing.T) {
			change := &change{steps: []Step{StepRefuse}, serving: operator.Serving{WorkersMustEnd: c.unseen}}
			change.to.Mode, change.drain.refused = c.mode, c.refused
			if c.without {
				change.noBarrier = errors.New("switched off")
			}
			left := workers.Remaining{ListeningWorkers: []workers.Process{one.Process}}
			if c.gathers {
				left.Gathering = left.ListeningWorkers
			}
			for waited, want := range map[time.Duration]int{0: c.first, strangersTimeout: c.later} {
				if got := change.concerning(left, waited).Workers(); got != want {
					t.Errorf("after %v it waits for %d workers, want %d", waited, got, want)
				}
			}
		})
	}
}
