package maintenance

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/status"
)

// event is one line of the history: one change of one site, who made it, and what came of it.
type event struct {
	At            time.Time   `json:"at"`
	Site          string      `json:"site"`
	From          status.Mode `json:"from"`
	To            status.Mode `json:"to"`
	Operator      string      `json:"operator"`
	Reason        string      `json:"reason,omitempty"`
	Outcome       Outcome     `json:"outcome"`
	Error         string      `json:"error,omitempty"`
	Seq           uint64      `json:"seq"`
	ExpectedUntil *time.Time  `json:"expectedUntil"`
	Cut           int         `json:"cut"`
}

// historyFile holds one event a line, the newest last.
func (h *Host) historyFile() string { return filepath.Join(h.Config.StateDir, "history.jsonl") }

// writeHistory appends what came of the changes to the history.
func (r *run) writeHistory(changes []*change, in intent) error {
	var lines []byte
	for _, c := range changes {
		line, err := json.Marshal(event{
			At: r.Clock.Now().UTC().Truncate(time.Millisecond), Site: c.site.Name, From: c.from, To: c.receipt.Mode,
			Operator: in.Operator, Reason: in.Reason, Outcome: c.receipt.Outcome, Error: c.receipt.Error,
			Seq: c.to.Seq, ExpectedUntil: c.to.ExpectedUntil, Cut: c.receipt.Cut,
		})
		if err != nil {
			return fmt.Errorf("write the history: %w", err)
		}
		lines = append(append(lines, line...), '\n')
	}
	f, err := os.OpenFile(r.historyFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	_, err = f.Write(lines)
	if err := errors.Join(err, f.Sync(), f.Close(), nginxconf.SyncDir(r.Config.StateDir)); err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	return nil
}
