package maintenance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
	"github.com/msupply-foundation/conforma-status/status"
)

// Step is one step of a change, by the name it has in the journal and in the receipt.
type Step string

// The steps of a change, in their order. A change takes those that it needs.
const (
	StepAnnounce Step = "announce" // publish a closing, before it happens
	StepShut     Step = "shut"     // create the closed file and see that nginx obeys it
	StepInstall  Step = "install"  // put the rendered rules in place
	StepTest     Step = "test"     // have nginx check them
	StepReload   Step = "reload"   // have nginx take them up
	StepProbe    Step = "probe"    // see that it did
	StepDrain    Step = "drain"    // wait until nothing that was let in earlier is left
	StepCut      Step = "cut"      // end what is left
	StepSettle   Step = "settle"   // have the site's own command say that the application is idle
	StepSmoke    Step = "smoke"    // try the application while everyone else is still shut out
	StepOpen     Step = "open"     // remove the closed file
	StepSee      Step = "see"      // see that the site answers
	StepPublish  Step = "publish"  // publish an opening, after it happened
	StepRecord   Step = "record"   // write down what now holds
	StepRollback Step = "rollback" // put the previous rules back
)

// intent is what a change is to do, as the journal's first line says it.
type intent struct {
	Version  int           `json:"version"`
	Started  time.Time     `json:"started"`
	Operator string        `json:"operator"`
	Reason   string        `json:"reason,omitempty"`
	Force    bool          `json:"force,omitempty"`
	Drain    time.Duration `json:"drain"`
	// MustAnswer has an opening fail where the application doesn't answer.
	MustAnswer bool `json:"mustAnswer,omitempty"`
	// Cut is set when a command that was killed had begun to cut: nobody counted what.
	Cut     bool          `json:"cut,omitempty"`
	Changes []intendedOne `json:"changes"`
}

// intendedOne is the part of an intent that concerns one site.
type intendedOne struct {
	Site string          `json:"site"`
	From status.Mode     `json:"from"`
	To   status.Document `json:"to"`
	// NoCut is set when what is left of the site is not to be cut.
	NoCut bool `json:"noCut,omitempty"`
}

// journalVersion is the version of the journal on disk.
const journalVersion = 1

// ErrJournal is returned (wrapped) when there is a journal that can't be understood.
var ErrJournal = errors.New("the journal is damaged")

// journal is the file that holds what a change is about to do. It is there from before the first step of a
// change until after its last, so that whoever comes next finds a change that was interrupted.
type journal struct {
	file *os.File
	path string
}

type journalLine struct {
	Step  Step   `json:"step"`
	Event string `json:"event"` // "begin", "end" or "failed"
	Error string `json:"error,omitempty"`
}

func (h *Host) journalFile() string { return filepath.Join(h.Config.StateDir, "journal") }

// begin writes the journal's first line. The journal is complete on disk when begin returns: a torn first
// line is never seen, because the file takes its name only once that line is in it.
func (h *Host) begin(in intent) (*journal, error) {
	in.Version = journalVersion
	line, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("write the journal: %w", err)
	}
	if err := durable.WriteFile(h.journalFile(), append(line, '\n'), 0o644); err != nil {
		return nil, fmt.Errorf("write the journal: %w", err)
	}
	f, err := os.OpenFile(h.journalFile(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("write the journal: %w", err)
	}
	return &journal{file: f, path: h.journalFile()}, nil
}

// write adds a line. That a step begins is on disk before it does; how it ended is for people, and gets there with the next line.
func (j *journal) write(l journalLine) error {
	line, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	if l.Event != "begin" {
		return nil
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return nil
}

// end removes the journal: the change is complete, or undone.
func (j *journal) end() error {
	if j.file != nil {
		j.file.Close()
	}
	if err := os.Remove(j.path); err != nil {
		return fmt.Errorf("end the journal: %w", err)
	}
	if err := durable.SyncDir(filepath.Dir(j.path)); err != nil {
		return fmt.Errorf("end the journal: %w", err)
	}
	return nil
}

// keep leaves the journal where it is, for reconcile.
func (j *journal) keep() { j.file.Close() }

// interrupted returns the intent of a change that was begun and not ended, or nil when there is none. The
// error wraps ErrJournal when it can't be understood.
func (h *Host) interrupted() (*intent, error) {
	data, err := os.ReadFile(h.journalFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	in, err := parseJournal(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", h.journalFile(), err)
	}
	return &in, nil
}

// parseJournal reads the intent and, of the lines that follow it, whether there was a cut. The rest of them is for people, and
// the last may be torn.
func parseJournal(data []byte) (intent, error) {
	line, steps, complete := bytes.Cut(data, []byte("\n"))
	if !complete {
		return intent{}, fmt.Errorf("%w: its first line is not complete", ErrJournal)
	}
	var in intent
	if err := json.Unmarshal(line, &in); err != nil {
		return intent{}, fmt.Errorf("%w: %w", ErrJournal, err)
	}
	if in.Version != journalVersion {
		return intent{}, fmt.Errorf("%w: version %d, want %d", ErrJournal, in.Version, journalVersion)
	}
	if len(in.Changes) == 0 {
		return intent{}, fmt.Errorf("%w: it changes nothing", ErrJournal)
	}
	for _, c := range in.Changes {
		if err := c.To.Validate(); err != nil {
			return intent{}, fmt.Errorf("%w: %w", ErrJournal, err)
		}
		if _, err := status.ParseMode(string(c.From)); err != nil || c.Site != c.To.Site {
			return intent{}, fmt.Errorf("%w: it doesn't say what to change", ErrJournal)
		}
	}
	for line := range bytes.Lines(steps) {
		var l journalLine
		if json.Unmarshal(line, &l) == nil && l.Step == StepCut {
			in.Cut = true
		}
	}
	return in, nil
}
