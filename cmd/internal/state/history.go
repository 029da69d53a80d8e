package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
	"github.com/msupply-foundation/conforma-status/status"
)

// Outcome is how a change of one site ended.
type Outcome string

const (
	// Done means that nginx is as asked.
	Done Outcome = "done"
	// Unchanged means that there was nothing to do.
	Unchanged Outcome = "unchanged"
	// Planned means that this was a dry run.
	Planned Outcome = "planned"
	// Shut means that a closing could not be completed, and that the site is shut all the same.
	Shut Outcome = "shut"
	// Failed means that nothing changed or that the change was rolled back.
	Failed Outcome = "failed"
)

// Event is one line of the history and of the audit log: one change of one site, who made it, and what came of it.
type Event struct {
	At            time.Time   `json:"at"` // when it was over
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
	// ClosedAt is when nginx was seen to be shut, nil where the site is open. Earlier releases didn't write it.
	ClosedAt *time.Time `json:"closedAt,omitempty"`
}

// shutAt is since when the site is shut after a closing. Where nobody noted that, it is when the change was over.
func (e Event) shutAt() time.Time {
	if e.ClosedAt != nil && e.ClosedAt.Before(e.At) {
		return *e.ClosedAt
	}
	return e.At
}

// Window is one time that a site was closed: what was announced, against what it came to.
type Window struct {
	From           time.Time  `json:"from"`  // when nginx was shut
	Until          *time.Time `json:"until"` // null while the site is closed
	ClosedBy       string     `json:"closedBy"`
	OpenedBy       string     `json:"openedBy,omitempty"`
	Reason         string     `json:"reason,omitempty"`
	FirstAnnounced *time.Time `json:"firstAnnounced"` // the first ETA, null for none
	LastAnnounced  *time.Time `json:"lastAnnounced"`  // the ETA that visitors were told last
	// LateSeconds is how late the site opened by the last ETA, negative for early; null without one, or while closed.
	LateSeconds *int64 `json:"lateSeconds"`
}

// historyFile holds one event a line, the newest last.
func (d Dir) historyFile() string { return filepath.Join(string(d), "history.jsonl") }

// History returns what happened on this host, the oldest first, and how many lines can't be read.
// No history yet is not an error.
func (d Dir) History() (events []Event, unreadable int, err error) {
	data, err := readIfAny(d.historyFile())
	events, unreadable = parseHistory(data)
	return events, unreadable, wrapped("read the history", err)
}

func parseHistory(data []byte) (events []Event, unreadable int) {
	for line := range bytes.Lines(data) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		var e Event
		if json.Unmarshal(line, &e) != nil || e.Site == "" || e.At.IsZero() {
			unreadable++
			continue
		}
		events = append(events, e)
	}
	return events, unreadable
}

// Windows are the times that a site was closed, the oldest first, by its events in their order.
func Windows(events []Event) []Window {
	out := []Window{}
	open := false // whether the last window still is
	for _, e := range events {
		if e.Outcome == Failed {
			continue
		}
		switch {
		case e.To.Closed() && !open:
			out = append(out, Window{From: e.shutAt(), ClosedBy: e.Operator, Reason: e.Reason, FirstAnnounced: e.ExpectedUntil, LastAnnounced: e.ExpectedUntil})
			open = true
		case e.To.Closed():
			w := &out[len(out)-1]
			if w.FirstAnnounced == nil {
				w.FirstAnnounced = e.ExpectedUntil
			}
			if w.Reason == "" {
				w.Reason = e.Reason
			}
			w.LastAnnounced = e.ExpectedUntil
		case open:
			w := &out[len(out)-1]
			w.Until, w.OpenedBy = &e.At, e.Operator
			if w.LastAnnounced != nil {
				w.LateSeconds = new(int64(e.At.Sub(*w.LastAnnounced).Seconds()))
			}
			open = false
		}
	}
	return out
}

// AppendHistory adds events to the history, and to the audit log at that path, "" for none, with an error of each.
func (d Dir) AppendHistory(events []Event, auditLog string) (history, audit error) {
	var lines []byte
	for _, e := range events {
		line, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("write the history: %w", err), nil
		}
		lines = append(append(lines, line...), '\n')
	}
	history = wrapped("write the history", appendLines(d.historyFile(), lines, 0o644))
	if auditLog != "" {
		audit = wrapped("write the audit log", appendLines(auditLog, lines, 0o640))
	}
	return history, audit
}

// appendLines adds whole lines to a file of lines. A last line that was cut off spoils nothing but itself.
func appendLines(path string, lines []byte, perm os.FileMode) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, perm)
	if err != nil {
		return err
	}
	if info, err := f.Stat(); err == nil && info.Size() > 0 {
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, info.Size()-1); err == nil && last[0] != '\n' {
			lines = append([]byte{'\n'}, lines...)
		}
	}
	_, err = f.Write(lines)
	return errors.Join(err, f.Sync(), f.Close(), durable.SyncDir(filepath.Dir(path)))
}
