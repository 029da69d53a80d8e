package maintenance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// View is one site as four witnesses see it.
type View struct {
	Site      string           `json:"site"`
	Mode      status.Mode      `json:"mode"` // the one wanted
	Wanted    Wanted           `json:"wanted"`
	OnDisk    OnDisk           `json:"onDisk"`
	Live      Live             `json:"live"`
	Published *status.Document `json:"published"` // null when there is none, or none that can be read
	Drift     []Drift          `json:"drift"`     // what doesn't agree; never null
}

// Witness is one of those that are compared with what is wanted.
type Witness string

// The witnesses; the disk has the rules and the closed file.
const (
	ByJournal Witness = "journal"
	ByDisk    Witness = "disk"
	ByNginx   Witness = "nginx"
	ByStore   Witness = "store"
)

// Drift is something that doesn't agree with what is wanted. In JSON it is its text.
type Drift struct {
	Shown Witness
	Text  string // in words
	Err   error  // why the witness can't be heard or understood, nil where it is
}

func (d Drift) String() string { return d.Text }

// MarshalText returns the text.
func (d Drift) MarshalText() ([]byte, error) { return []byte(d.Text), nil }

// Wanted is what this machine has on record.
type Wanted struct {
	Mode          status.Mode `json:"mode"`
	OnRecord      bool        `json:"onRecord"` // false when this machine never changed the site: online is assumed
	Since         *time.Time  `json:"since"`
	ExpectedUntil *time.Time  `json:"expectedUntil"`
	Message       *string     `json:"message"`
	// Messages are those in one language each, by BCP 47 tag; null when there are none.
	Messages  map[string]string `json:"messages"`
	Seq       uint64            `json:"seq"`
	Revision  string            `json:"revision,omitempty"`
	ClosedAt  *time.Time        `json:"closedAt"`
	SafeSince *time.Time        `json:"safeSince"` // null while the site is open, or something may still be under way
}

// OnDisk is what the rendered rules say that nginx would read.
type OnDisk struct {
	Mode     status.Mode `json:"mode,omitempty"` // absent when there are no rules
	Revision string      `json:"revision,omitempty"`
	Closed   bool        `json:"closed"` // whether the closed file is there
}

// Live is what nginx says that it does.
type Live struct {
	Mode     status.Mode `json:"mode,omitempty"` // absent when nginx doesn't say
	Revision string      `json:"revision,omitempty"`
	Closed   bool        `json:"closed"`
	Error    string      `json:"error,omitempty"`
}

// View compares what is wanted of a site with what is on disk, live in nginx, and published.
func (h *Host) View(ctx context.Context, s config.Site) (View, error) {
	r, known, err := h.Dir().Record(s.Name)
	if err != nil {
		return View{}, err
	}
	if !known {
		r.Document = firstDocument(s, h.now())
	}
	seen, err := h.look(ctx, s)
	if err != nil {
		return View{}, err
	}
	d := r.Document
	v := View{
		Site: s.Name, Mode: d.Mode, Drift: []Drift{},
		Wanted: Wanted{
			Mode: d.Mode, OnRecord: known, ExpectedUntil: d.ExpectedUntil, Message: d.Message, Messages: d.Messages,
			Seq: d.Seq, Revision: r.Revision, ClosedAt: r.ClosedAt, SafeSince: r.SafeSince,
		},
		OnDisk: OnDisk{Mode: seen.onDisk, Revision: seen.revision, Closed: seen.shut},
	}
	if known {
		v.Wanted.Since = &d.Since
	}
	shown := func(by Witness) func(string, ...any) {
		return func(format string, args ...any) {
			d := Drift{Shown: by, Text: fmt.Sprintf(format, args...)}
			for _, arg := range args {
				if err, is := arg.(error); is {
					d.Err = err
				}
			}
			v.Drift = append(v.Drift, d)
		}
	}
	drift := shown(ByJournal)
	if in, err := h.Dir().Interrupted(); err != nil {
		drift("%v", err)
	} else if in != nil {
		for _, c := range in.Changes {
			if c.Site == s.Name {
				drift("a change to %s was interrupted; the next set finishes it", c.To.Mode)
			}
		}
	}
	h.compareDisk(s, r, known, seen, shown(ByDisk))
	drift = shown(ByNginx)
	if seen.liveErr != nil {
		v.Live.Error = seen.liveErr.Error()
		drift("%v", seen.liveErr)
	} else {
		v.Live = Live{Mode: seen.live.Mode, Revision: seen.live.Revision, Closed: seen.live.Closed}
		if seen.onDisk != "" && seen.live.Revision != seen.revision {
			drift("nginx serves revision %s (%s), on disk is %s (%s)", seen.live.Revision, seen.live.Mode, seen.revision, seen.onDisk)
		}
		if seen.live.Closed != seen.shut {
			drift("nginx and the disk disagree about the closed file")
		}
	}
	v.Published = h.comparePublished(ctx, s, r, known, shown(ByStore))
	return v, nil
}

func (h *Host) compareDisk(s config.Site, r state.Record, known bool, seen sight, drift func(string, ...any)) {
	switch {
	case seen.disk == nil:
		drift("there are no rules at %s", nginxconf.SiteFile(h.Config.Nginx.ConfDir, s.Name))
	case seen.onDisk == "":
		drift("%s is not a file of conforma-status", nginxconf.SiteFile(h.Config.Nginx.ConfDir, s.Name))
	case seen.onDisk != r.Document.Mode:
		drift("wanted is %s, the rules on disk are for %s", r.Document.Mode, seen.onDisk)
	case known && seen.revision != r.Revision:
		drift("wanted is revision %s, on disk is %s", r.Revision, seen.revision)
	default:
		rules, err := h.rules(s, r.Door).Render(seen.onDisk, seen.revision)
		if err != nil || !bytes.Equal(rules, seen.disk) {
			drift("the rules on disk are not those of this configuration: edited by hand, or the configuration changed since")
		}
	}
	file := nginxconf.HTTPFile(h.Config.Nginx.ConfDir)
	http, err := h.httpConf()
	if disk, _ := os.ReadFile(file); err != nil || !bytes.Equal(http, disk) {
		drift("%s is not that of this configuration: edited by hand, or the configuration changed since", file)
	}
	switch {
	case r.Shut() == seen.shut:
	case seen.shut:
		drift("the closed file is there: the site is shut")
	default:
		drift("the closed file is missing")
	}
}

func (h *Host) comparePublished(ctx context.Context, s config.Site, r state.Record, known bool, drift func(string, ...any)) *status.Document {
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	there, err := h.published(ctx, s)
	switch {
	case errors.Is(err, store.ErrNotFound):
		if known {
			drift("nothing is published")
		}
		return nil
	case errors.Is(err, errNotDocument):
		drift("what is published is %v", err)
		return nil
	case err != nil:
		drift("what is published can't be read: %v", err)
		return nil
	case known && r.Unpublished:
		drift("%s (seq %d) is not published yet, visitors are told %s (seq %d)", r.Document.Mode, r.Document.Seq, there.Mode, there.Seq)
	case known && (there.Seq != r.Document.Seq || !there.Same(h.Dir().Announced(r.Document, r.Hold))):
		drift("published is %s (seq %d), on record is %s (seq %d)", there.Mode, there.Seq, r.Document.Mode, r.Document.Seq)
	case !known && there.Mode.Closed():
		drift("published is %s, and this machine has no record of the site", there.Mode)
	}
	return &there
}

// Rendered is what the rules of the modes on record look like, by path below the directory that they are for.
func (h *Host) Rendered() (map[string][]byte, error) {
	http, err := h.httpConf()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{nginxconf.HTTPFile(""): http}
	for _, s := range h.Config.Sites {
		r, known, err := h.Dir().Record(s.Name)
		if err != nil {
			return nil, err
		}
		if !known {
			r.Document.Mode = status.Online
		}
		if r.Revision == "" {
			if r.Revision, err = h.rules(s, r.Door).Revision(r.Document.Mode, r.Changes); err != nil {
				return nil, err
			}
		}
		if files[nginxconf.SiteFile("", s.Name)], err = h.rules(s, r.Door).Render(r.Document.Mode, r.Revision); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// ErrInterrupted is returned (wrapped) where an interrupted change has to be finished first.
var ErrInterrupted = errors.New("a change was interrupted")

// Render writes the rules of the modes on record below dir, and nothing else. It returns the paths of the
// files that weren't there or said something else. Nothing is written, and the error wraps ErrInterrupted,
// where the record doesn't say what the rules in use are to be.
func (h *Host) Render(ctx context.Context, dir string) ([]string, error) {
	if _, err := os.Stat(h.Config.StateDir); err == nil && dir == h.Config.Nginx.ConfDir {
		unlock, err := h.lock(ctx)
		if err != nil {
			return nil, err
		}
		defer unlock()
		if in, err := h.Dir().Interrupted(); err != nil {
			return nil, err
		} else if in != nil {
			return nil, fmt.Errorf("render: %w", ErrInterrupted)
		}
	}
	files, err := h.Rendered()
	if err != nil {
		return nil, err
	}
	var paths []string
	for path, data := range files {
		path = filepath.Join(dir, path)
		if was, err := os.ReadFile(path); err == nil && bytes.Equal(was, data) {
			continue
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return paths, err
		}
		if err := state.MakeDirs(filepath.Dir(path)); err != nil {
			return paths, err
		}
		if err := durable.WriteFile(path, data, 0o644); err != nil {
			return paths, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}
