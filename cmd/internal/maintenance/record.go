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

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
	"github.com/msupply-foundation/conforma-status/status"
)

// recordVersion is the version of a record on disk.
const recordVersion = 1

// ErrRecord is returned (wrapped) when the record of a site can't be understood. It is then not known
// which mode the site is to be in.
var ErrRecord = errors.New("the record is damaged")

// Record is what this machine knows of a site between two commands: what was last applied.
type Record struct {
	Version  int             `json:"version"`
	Document status.Document `json:"document"` // as it was last announced, or is still to be
	Revision string          `json:"revision"` // of the rules last put in place
	Changes  uint64          `json:"changes"`  // grows with every new revision
	Door     string          `json:"door"`     // in those rules, "" for none
	// ClosedAt is when nginx was last seen to be shut, nil while the site is online.
	ClosedAt *time.Time `json:"closedAt"`
	// Claim is a word that is new with every change that an operator asks for, also where there is nothing to do.
	Claim string `json:"claim"`
	// SafeSince is since when nothing that was let in earlier is open any more, nil while that isn't proven.
	SafeSince *time.Time `json:"safeSince"`
	// Cut counts the connections that were cut since the site was open and that nobody has vouched for.
	Cut int `json:"cut"`
	// NoCut is set when the operator asked for what was left to be left alone: nothing but another set may cut it.
	NoCut bool `json:"noCut,omitempty"`
	// Held is set where a site in admin mode was left shut by its closed file, because of what was let in before.
	Held bool `json:"held,omitempty"`
	// Waits is set where a site that visitors were told is offline is to be in admin mode and could not be opened, because of what
	// was let in before: they are told so still while it is shut.
	Waits bool `json:"waits,omitempty"`
	// Published is the sequence number last put into the store by this machine, 0 when none was.
	Published uint64 `json:"published"`
	// Unpublished is set while Document is not in the store yet.
	Unpublished bool `json:"unpublished"`
}

// safe reports whether nothing that was let in before the site closed is left.
func (r Record) safe() bool { return !r.Document.Mode.Closed() || r.SafeSince != nil }

// held reports whether a site in admin mode is to stay shut by its closed file, because what was let in before is left alone.
func (r Record) held() bool { return r.Document.Mode == status.Admin && r.NoCut && r.Held && !r.safe() }

// announced is what visitors are told of a document, given whether its site waits.
func (h *Host) announced(d status.Document, waits bool) status.Document {
	if waits && h.isShut(d.Site) {
		d.Mode = status.Offline
	}
	return d
}

func (h *Host) recordFile(name string) string {
	return filepath.Join(h.Config.StateDir, "records", name+".json")
}

// record returns the record of a site; known is false when this machine has none.
func (h *Host) record(name string) (r Record, known bool, err error) {
	data, err := os.ReadFile(h.recordFile(name))
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, false, nil
	}
	if err != nil {
		return Record{}, false, fmt.Errorf("read the record of %s: %w", name, err)
	}
	r, err = parseRecord(name, data)
	if err != nil {
		return Record{}, false, fmt.Errorf("read %s: %w", h.recordFile(name), err)
	}
	return r, true, nil
}

// parseRecord reads the record of the site of that name.
func parseRecord(name string, data []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if r.Version != recordVersion {
		return Record{}, fmt.Errorf("%w: version %d, want %d", ErrRecord, r.Version, recordVersion)
	}
	if err := r.Document.Validate(); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if r.Document.Site != name {
		return Record{}, fmt.Errorf("%w: it is that of site %q", ErrRecord, r.Document.Site)
	}
	if len(r.Document.Messages) == 0 {
		r.Document.Messages = nil // null, as it is published
	}
	return r, nil
}

func (h *Host) writeRecord(name string, r Record) error {
	r.Version = recordVersion
	return h.writeState(h.recordFile(name), mustJSON(r))
}

// writeState writes a file below the state directory, making the directories above it.
func (h *Host) writeState(path string, data []byte) error {
	if err := makeDirs(filepath.Dir(path)); err != nil {
		return err
	}
	return durable.WriteFile(path, data, 0o644)
}

// makeDirs makes dir and its parents so that nginx's workers can enter them, whatever the umask.
func makeDirs(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := makeDirs(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	return os.Chmod(dir, 0o755)
}

// writeAnswers writes what nginx serves of a document: the document itself and the body of the 503. A file
// that already says so is left alone.
func (h *Host) writeAnswers(d status.Document) error {
	for name, data := range map[string][]byte{
		nginxconf.StatusFile:      d.Marshal(),
		nginxconf.UnavailableFile: nginxconf.Unavailable(d),
	} {
		path := filepath.Join(h.siteDir(d.Site), name)
		if was, err := os.ReadFile(path); err == nil && bytes.Equal(was, data) {
			continue
		}
		if err := h.writeState(path, data); err != nil {
			return err
		}
	}
	return nil
}

// shut creates the site's closed file. It stays shut until open removes it, even if the machine loses power
// in between.
func (h *Host) shut(name string) error {
	if err := makeDirs(h.siteDir(name)); err != nil {
		return err
	}
	f, err := os.OpenFile(h.closedFile(name), os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close(), durable.SyncDir(h.siteDir(name)))
}

func (h *Host) isShut(name string) bool {
	_, err := os.Stat(h.closedFile(name))
	return err == nil
}

// open removes the site's closed file. Where nothing was ever written of a site there isn't even a directory.
func (h *Host) open(name string) error {
	if err := os.Remove(h.closedFile(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := durable.SyncDir(h.siteDir(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// unknown is the document of a site that this machine has no record of.
func unknown(s config.Site, now time.Time) status.Document {
	return status.Document{
		Version: status.Version, Site: s.Name, Mode: status.Online, Seq: 0, Since: now, UpdatedAt: now,
		AppURL: s.AppURL, PageURL: s.PageURL,
	}
}

// mustJSON marshals what can't fail to be marshalled: our own records.
func mustJSON(v any) []byte {
	out, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic("maintenance: marshal: " + err.Error())
	}
	return append(out, '\n')
}
