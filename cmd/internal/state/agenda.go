package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"time"

	"github.com/msupply-foundation/conforma-status/status"
)

// agendaVersion is the version of an agenda on disk.
const agendaVersion = 1

// ErrAgenda is returned (wrapped) where what this host knows of a site's schedule can't be understood.
var ErrAgenda = errors.New("the copy of the schedule is damaged")

// Agenda is what this host knows of a site's schedule between two looks into the store.
type Agenda struct {
	Version int `json:"version"`
	// Schedule is as it was last read, with what this host has made of its windows since.
	Schedule status.Schedule `json:"schedule"`
	// Deeds are what this host has made of windows that aren't over yet, or that the store doesn't know yet; by the
	// window's id.
	Deeds map[string]Deed `json:"deeds,omitempty"`
	// Calendar is the ETag of the schedule that was last published as a calendar, "" where none was.
	Calendar string `json:"calendar,omitempty"`
	// Notes are who scheduled a window on this host, and why; by the window's id.
	Notes map[string]Note `json:"notes,omitempty"`
}

// Deed is what this host has made of a window.
type Deed struct {
	// Base is the sequence number of the window in the store that it was made from.
	Base uint64 `json:"base"`
	// Unpublished is set while the store doesn't have it.
	Unpublished bool `json:"unpublished"`
	// Since is since when the site is closed, nil while its closing is to be carried out still.
	Since *time.Time `json:"since"`
	// Ordered is set once all hosts of a fleet were ordered to close for it.
	Ordered bool `json:"ordered,omitempty"`
	// Told is set once somebody was told that the closing has failed.
	Told bool `json:"told,omitempty"`
}

// Note is what stays on the host of a window.
type Note struct {
	Operator string `json:"operator"` // a user name
	Reason   string `json:"reason,omitempty"`
}

// AgendaFile is the file that holds the agenda of a site.
func (d Dir) AgendaFile(site string) string {
	return filepath.Join(string(d), "schedules", site+".json")
}

// Agenda returns the agenda of a site, known false and an empty one for none. The error wraps ErrAgenda where it can't
// be understood.
func (d Dir) Agenda(site string) (a Agenda, known bool, err error) {
	a = Agenda{Version: agendaVersion, Schedule: status.EmptySchedule(), Deeds: map[string]Deed{}, Notes: map[string]Note{}}
	data, err := readIfAny(d.AgendaFile(site))
	if data == nil || err != nil {
		return a, false, wrapped("read the copy of the schedule of "+site, err)
	}
	read := a
	err = json.Unmarshal(data, &read)
	switch {
	case err != nil:
	case read.Version != agendaVersion:
		err = fmt.Errorf("version %d, want %d", read.Version, agendaVersion)
	default:
		err = read.Schedule.Validate()
	}
	if err != nil {
		return a, false, fmt.Errorf("read %s: %w: %w", d.AgendaFile(site), ErrAgenda, err)
	}
	return read, true, nil
}

// WriteAgenda replaces the agenda of a site, and leaves out what it says of windows that there aren't. Nothing is
// written twice.
func (d Dir) WriteAgenda(site string, a Agenda) error {
	a.Version = agendaVersion
	gone := func(id string) bool { _, there := a.Schedule.Window(id); return !there }
	maps.DeleteFunc(a.Deeds, func(id string, _ Deed) bool { return gone(id) })
	maps.DeleteFunc(a.Notes, func(id string, _ Note) bool { return gone(id) })
	_, err := Replace(d.AgendaFile(site), mustJSON(a))
	return wrapped("keep a copy of the schedule of "+site, err)
}
