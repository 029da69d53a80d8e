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

// journalVersion is the version of the journal on disk.
const journalVersion = 1

// ErrJournal is returned (wrapped) when there is a journal that can't be understood.
var ErrJournal = errors.New("the journal is damaged")

// Intent is what a change is to do, as the journal's first line says it.
type Intent struct {
	Version  int           `json:"version"`
	Started  time.Time     `json:"started"`
	Operator string        `json:"operator"`
	Reason   string        `json:"reason,omitempty"`
	Force    bool          `json:"force,omitempty"`
	Drain    time.Duration `json:"drain"` // in nanoseconds
	// MustAnswer has an opening fail where the application doesn't answer.
	MustAnswer bool `json:"mustAnswer,omitempty"`
	// Cut is set when a command that was killed had begun to cut: nobody counted what.
	Cut     bool         `json:"cut,omitempty"`
	Changes []SiteChange `json:"changes"`
}

// SiteChange is the part of an intent that concerns one site.
type SiteChange struct {
	Site string          `json:"site"`
	From status.Mode     `json:"from"`
	To   status.Document `json:"to"`
	// NoCut is set when what is left of the site is not to be cut.
	NoCut bool `json:"noCut,omitempty"`
	// Forced is set when the operator answers for holes in nginx's configuration.
	Forced bool `json:"forced,omitempty"`
}

// Closes reports whether the change lets nobody in who wasn't let in before.
func (c SiteChange) Closes() bool { return c.To.Mode.Closed() && !c.From.StricterThan(c.To.Mode) }

// Interrupted is a change that was begun and not ended: what it was to do, and the steps that it had begun.
type Interrupted struct {
	Intent
	Begun []string
}

// Of returns the part of it that concerns the site, false where none does. in may be nil.
func (in *Interrupted) Of(site string) (SiteChange, bool) {
	if in != nil {
		for _, c := range in.Changes {
			if c.Site == site {
				return c, true
			}
		}
	}
	return SiteChange{}, false
}

// Journal is the file that says what a change is about to do. It is there from before the first step to after the last.
type Journal struct {
	file  *os.File
	dir   Dir
	torn  bool                         // its last line is not complete
	begun bool                         // it says that the first step begins
	rooms map[string]*durable.Reserved // for the records of its sites
}

// JournalLine is one line of the journal after its first.
type JournalLine struct {
	Step  string       `json:"step"`
	Event JournalEvent `json:"event"`
	Error string       `json:"error,omitempty"`
}

// JournalEvent is what a line of the journal says of a step.
type JournalEvent string

// The events of a step.
const (
	StepBegins JournalEvent = "begin"
	StepEnds   JournalEvent = "end"
	StepFailed JournalEvent = "failed"
)

// JournalFile is the journal of the change that is under way, or was interrupted.
func (d Dir) JournalFile() string { return filepath.Join(string(d), "journal") }

// Begin writes the journal's first line, and that the step of this name begins: it is the first that Write is told of.
// The file takes its name once both are on disk: so nobody sees half a line, and the disk is waited for once. Begin
// also sets room aside for the records, which are written last: by then the disk may be full.
func (d Dir) Begin(in Intent, step string) (*Journal, error) {
	j := &Journal{dir: d, rooms: map[string]*durable.Reserved{}, begun: true}
	if err := j.begin(in, step); err != nil {
		j.release()
		return nil, fmt.Errorf("write the journal: %w", err)
	}
	return j, nil
}

func (j *Journal) begin(in Intent, step string) error {
	for _, c := range in.Changes {
		room, err := j.dir.reserveRecord(c)
		if err != nil {
			return err
		}
		j.rooms[c.Site] = room
	}
	in.Version = journalVersion
	var lines bytes.Buffer
	to := json.NewEncoder(&lines)
	if err := errors.Join(to.Encode(in), to.Encode(JournalLine{Step: step, Event: StepBegins})); err != nil {
		return err
	}
	if err := durable.WriteFile(j.dir.JournalFile(), lines.Bytes(), 0o644); err != nil {
		return err
	}
	var err error
	j.file, err = os.OpenFile(j.dir.JournalFile(), os.O_APPEND|os.O_WRONLY, 0)
	return err
}

// release gives back the room that wasn't needed.
func (j *Journal) release() {
	for _, room := range j.rooms {
		room.Release()
	}
}

// Write adds a line. That a step begins is on disk before it does; how it ended gets there with the next line.
func (j *Journal) Write(l JournalLine) error { return wrapped("write the journal", j.write(l)) }

func (j *Journal) write(l JournalLine) error {
	if j.begun && l.Event == StepBegins { // Begin has written it
		j.begun = false
		return nil
	}
	line, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if j.torn {
		line = append([]byte("\n"), line...)
	}
	n, err := j.file.Write(append(line, '\n'))
	j.torn = err != nil && (j.torn || n > 0)
	if err != nil || l.Event != StepBegins {
		return err
	}
	return j.file.Sync()
}

// End removes the journal: the change is complete, or undone.
func (j *Journal) End() error {
	j.Keep()
	return endJournal(j.dir.JournalFile())
}

// Keep leaves the journal where it is, for whoever comes next.
func (j *Journal) Keep() {
	j.file.Close()
	j.release()
}

// WriteRecord replaces the record of one of its sites, in the room that Begin has set aside.
func (j *Journal) WriteRecord(site string, r Record) error {
	room, ok := j.rooms[site]
	if !ok {
		return j.dir.WriteRecord(site, r)
	}
	return wrapped("write the record of "+site, room.Write(r.marshal(), 0o644))
}

// ForgetJournal removes a journal whose change turned out to be complete. It is no error where there is none.
func (d Dir) ForgetJournal() error {
	if _, err := os.Stat(d.JournalFile()); err != nil {
		return nil
	}
	return endJournal(d.JournalFile())
}

func endJournal(path string) error {
	err := os.Remove(path)
	if err == nil {
		err = durable.SyncDir(filepath.Dir(path))
	}
	return wrapped("end the journal", err)
}

// Interrupted returns the change in the journal, nil if there is none. A caller without the lock may see one that is
// still under way. The error wraps ErrJournal when the journal can't be understood.
func (d Dir) Interrupted() (*Interrupted, error) {
	data, err := readIfAny(d.JournalFile())
	if data == nil || err != nil {
		return nil, wrapped("read the journal", err)
	}
	in, err := parseJournal(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", d.JournalFile(), err)
	}
	return &in, nil
}

// parseJournal reads the intent and which steps were begun after it. The last line may be torn.
func parseJournal(data []byte) (Interrupted, error) {
	line, steps, complete := bytes.Cut(data, []byte("\n"))
	if !complete {
		return Interrupted{}, fmt.Errorf("%w: its first line is not complete", ErrJournal)
	}
	var in Interrupted
	if err := json.Unmarshal(line, &in.Intent); err != nil {
		return Interrupted{}, fmt.Errorf("%w: %w", ErrJournal, err)
	}
	if in.Version != journalVersion {
		return Interrupted{}, fmt.Errorf("%w: version %d, want %d", ErrJournal, in.Version, journalVersion)
	}
	if len(in.Changes) == 0 {
		return Interrupted{}, fmt.Errorf("%w: it changes nothing", ErrJournal)
	}
	for _, c := range in.Changes {
		if err := c.To.Validate(); err != nil {
			return Interrupted{}, fmt.Errorf("%w: %w", ErrJournal, err)
		}
		if _, err := status.ParseMode(string(c.From)); err != nil || c.Site != c.To.Site {
			return Interrupted{}, fmt.Errorf("%w: it doesn't say what to change", ErrJournal)
		}
	}
	for line := range bytes.Lines(steps) {
		var l JournalLine
		if json.Unmarshal(line, &l) == nil && l.Event == StepBegins {
			in.Begun = append(in.Begun, l.Step)
		}
	}
	return in, nil
}
