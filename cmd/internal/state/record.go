package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
	"github.com/msupply-foundation/conforma-status/status"
)

// recordVersion is the version of a record on disk.
const recordVersion = 1

// ErrRecord is returned (wrapped) when the record of a site can't be understood, so that its mode isn't known.
var ErrRecord = errors.New("the record is damaged")

// Record is what this host knows of a site between two commands: what was last applied.
type Record struct {
	Version  int             `json:"version"`
	Document status.Document `json:"document"` // as it was last announced, or is still to be
	Revision string          `json:"revision"` // of the rules last put in place, "" for none
	Changes  uint64          `json:"changes"`  // grows with every new revision
	Door     string          `json:"door"`     // the word in those rules that lets a trial through, "" for none
	// ClosedAt is when nginx was last seen to be shut, nil while the site is online.
	ClosedAt *time.Time `json:"closedAt"`
	// Claim is a word that is new with every change that an operator asks for, also where there is nothing to do.
	Claim string `json:"claim"`
	// SafeSince is since when no request from before the closing is under way, nil while that isn't proven.
	SafeSince *time.Time `json:"safeSince"`
	// NotSafe is why SafeSince is nil, as far as that is known.
	NotSafe NotSafe `json:"notSafe,omitempty"`
	// Cut counts the connections that were cut since the site was open and that nobody has vouched for.
	Cut int `json:"cut"`
	// Hold says what is done about requests from before the closing.
	Hold Hold `json:"hold,omitempty"`
	// Forced is whether the operator answers for holes in nginx's configuration (--force).
	Forced bool `json:"forced,omitempty"`
	// Barrier is whether the kernel keeps connections from the application: in offline everybody's, which was proven, in
	// admin those from outside the machine.
	Barrier bool `json:"barrier,omitempty"`
	// Published is the sequence number last put into the store by this machine, 0 when none was.
	Published uint64 `json:"published"`
	// Unpublished is set while Document is not in the store yet.
	Unpublished bool `json:"unpublished"`
}

// NotSafe is a reason why it isn't safe to take a snapshot of a closed site.
type NotSafe string

const (
	NotSafeUnknown    NotSafe = ""           // nobody could see whether an earlier request is still at work
	NotSafeUnfinished NotSafe = "unfinished" // nginx doesn't use the new rules: the closed file alone keeps the site shut
	NotSafeLeft       NotSafe = "left"       // an earlier request didn't end in time, and wasn't cut
	NotSafeCut        NotSafe = "cut"        // one was cut, and nobody vouches for the application
	NotSafeUnsettled  NotSafe = "unsettled"  // the site's settled command doesn't vouch for the application
)

// Hold says what is done about requests that were let in before a site closed and that didn't end in time.
type Hold string

const (
	// HoldNone means that they are cut, and that nothing is held for them.
	HoldNone Hold = ""
	// HoldLeftAlone means that the operator asked for them to be left alone (--no-cut): nothing but another set cuts them.
	HoldLeftAlone Hold = "left-alone"
	// HoldKeptShut is HoldLeftAlone for a site that is to be in admin mode: its closed file stays until they are gone.
	HoldKeptShut Hold = "kept-shut"
	// HoldKeptShutUnannounced is HoldKeptShut for a site that was offline: visitors are still told that it is.
	HoldKeptShutUnannounced Hold = "kept-shut-unannounced"
	// HoldUnannounced means that a site on its way from offline to admin could not be opened: visitors are told that it is
	// offline, and the next reconcile tries again.
	HoldUnannounced Hold = "unannounced"
)

// HoldOf is the Hold of a site where requests are left alone, it is kept shut for them, or visitors were told its mode.
func HoldOf(leftAlone, keptShut, announced bool) Hold {
	switch {
	case leftAlone && !announced:
		return HoldKeptShutUnannounced
	case leftAlone && keptShut:
		return HoldKeptShut
	case leftAlone:
		return HoldLeftAlone
	case !announced:
		return HoldUnannounced
	}
	return HoldNone
}

// LeavesAlone reports whether requests from before the closing are not to be cut.
func (h Hold) LeavesAlone() bool { return h != HoldNone && h != HoldUnannounced }

// KeepsShut reports whether a site in admin mode stays shut because of them.
func (h Hold) KeepsShut() bool { return h == HoldKeptShut || h == HoldKeptShutUnannounced }

// Announced reports whether visitors are told the mode that the site is to be in.
func (h Hold) Announced() bool { return h != HoldUnannounced && h != HoldKeptShutUnannounced }

// Safe reports whether nothing that was let in before the site closed is left.
func (r Record) Safe() bool { return !r.Document.Mode.Closed() || r.SafeSince != nil }

// KeptShut reports whether a site in admin mode is to stay shut by its closed file.
func (r Record) KeptShut() bool {
	return r.Document.Mode == status.Admin && r.Hold.KeepsShut() && !r.Safe()
}

// Shut reports whether the site's closed file is to be there.
func (r Record) Shut() bool { return r.Document.Mode == status.Offline || r.KeptShut() }

// ForgetClosing forgets how the site was closed: it is open.
func (r *Record) ForgetClosing() {
	r.ClosedAt, r.SafeSince, r.NotSafe, r.Cut = nil, nil, NotSafeUnknown, 0
	r.Forced, r.Barrier = false, false
}

// Announced is d as visitors are told of it: offline where Hold keeps the mode from them and the closed file is there.
func (d Dir) Announced(doc status.Document, h Hold) status.Document {
	if !h.Announced() && d.IsShut(doc.Site) {
		doc.Mode = status.Offline
	}
	return doc
}

// RecordFile is the file that holds the record of a site.
func (d Dir) RecordFile(site string) string { return filepath.Join(string(d), "records", site+".json") }

// Record returns the record of a site, known false for none. The error wraps ErrRecord where it can't be understood.
func (d Dir) Record(site string) (r Record, known bool, err error) {
	data, err := readIfAny(d.RecordFile(site))
	if data == nil || err != nil {
		return Record{}, false, wrapped("read the record of "+site, err)
	}
	if r, err = parseRecord(site, data); err != nil {
		return Record{}, false, fmt.Errorf("read %s: %w", d.RecordFile(site), err)
	}
	return r, true, nil
}

// WriteRecord replaces the record of a site.
func (d Dir) WriteRecord(site string, r Record) error {
	return wrapped("write the record of "+site, write(d.RecordFile(site), r.marshal()))
}

func (r Record) marshal() []byte {
	r.Version = recordVersion
	return mustJSON(r)
}

// recordRest is more than what a record has beside its document and what it had before.
const recordRest = 4 << 10 // bytes

// reserveRecord sets room aside for the record of a site, whichever way its change ends.
func (d Dir) reserveRecord(c SiteChange) (*durable.Reserved, error) {
	path := d.RecordFile(c.Site)
	if err := MakeDirs(filepath.Dir(path)); err != nil {
		return nil, err
	}
	size := len(mustJSON(c.To))
	if was, err := os.Stat(path); err == nil {
		size = max(size, int(was.Size()))
	}
	return durable.Reserve(path, size+recordRest)
}

// parseRecord reads the record of the site of that name.
func parseRecord(site string, data []byte) (Record, error) {
	// The first release wrote what Hold says as three keys.
	var r struct {
		Record
		NoCut bool `json:"noCut"`
		Held  bool `json:"held"`
		Waits bool `json:"waits"`
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if r.Version != recordVersion {
		return Record{}, fmt.Errorf("%w: version %d, want %d", ErrRecord, r.Version, recordVersion)
	}
	if err := r.Document.Validate(); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if r.Document.Site != site {
		return Record{}, fmt.Errorf("%w: it is that of site %q", ErrRecord, r.Document.Site)
	}
	if len(r.Document.Messages) == 0 {
		r.Document.Messages = nil // null, as it is published
	}
	switch r.Hold {
	case HoldNone:
		r.Hold = HoldOf(r.NoCut, r.Held, !r.Waits)
	case HoldLeftAlone, HoldKeptShut, HoldKeptShutUnannounced, HoldUnannounced:
	default:
		return Record{}, fmt.Errorf("%w: hold %q", ErrRecord, r.Hold)
	}
	return r.Record, nil
}
