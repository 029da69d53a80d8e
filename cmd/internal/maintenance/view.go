package maintenance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers/barrier"
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
	Kernel    InKernel         `json:"kernel"`
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
	ByKernel  Witness = "kernel"
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
	// NotSafe is why SafeSince is null while the site is closed.
	NotSafe state.NotSafe `json:"-"`
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

// InKernel is what the kernel does.
type InKernel struct {
	// Barrier is whether it keeps connections from the application, see state.Record.
	Barrier bool `json:"barrier"`
	// Tried is how often it has refused one since the site closed; null where there is no barrier, or it can't be
	// looked at.
	Tried *Tried `json:"tried"`
	Error string `json:"error,omitempty"` // why it can't be looked at
}

// comparison compares what is wanted of a site with what four witnesses say.
type comparison struct {
	*Host
	site   config.Site
	record state.Record
	seen   observed
	drift  []Drift
}

// View compares what is wanted of a site with what is on disk, live in nginx, and published.
func (h *Host) View(ctx context.Context, s config.Site) (View, error) {
	r, known, err := h.recordOf(s)
	if err != nil {
		return View{}, err
	}
	seen, err := h.look(ctx, s)
	if err != nil {
		return View{}, err
	}
	seen.known = known
	c := &comparison{Host: h, site: s, record: r, seen: seen, drift: []Drift{}}
	c.withJournal()
	c.withDisk()
	v := View{
		Site: s.Name, Mode: r.Document.Mode, Live: c.withNginx(), Kernel: c.withKernel(ctx),
		OnDisk:    OnDisk{Mode: seen.onDisk, Revision: seen.revision, Closed: seen.shut},
		Published: c.withStore(ctx),
	}
	v.Wanted, v.Drift = c.wanted(), c.drift
	return v, nil
}

func (c *comparison) wanted() Wanted {
	d := c.record.Document
	w := Wanted{
		Mode: d.Mode, OnRecord: c.seen.known, ExpectedUntil: d.ExpectedUntil, Message: d.Message, Messages: d.Messages,
		Seq: d.Seq, Revision: c.record.Revision, ClosedAt: c.record.ClosedAt, SafeSince: c.record.SafeSince,
		NotSafe: c.record.NotSafe,
	}
	if c.seen.known {
		w.Since = &d.Since
	}
	return w
}

// differs notes what a witness says otherwise. An error among the arguments is why it can't be heard or understood.
func (c *comparison) differs(by Witness, format string, args ...any) {
	d := Drift{Shown: by, Text: fmt.Sprintf(format, args...)}
	for _, arg := range args {
		if err, is := arg.(error); is {
			d.Err = err
		}
	}
	c.drift = append(c.drift, d)
}

func (c *comparison) withJournal() {
	in, err := c.Dir().Interrupted()
	if err != nil {
		c.differs(ByJournal, "%v", err)
	} else if change, under := in.Of(c.site.Name); under {
		c.differs(ByJournal, "a change to %s was interrupted; the next set finishes it", change.To.Mode)
	}
}

func (c *comparison) withDisk() {
	r, seen := c.record, c.seen
	file := nginxconf.SiteFile(c.Config.Nginx.ConfDir, c.site.Name)
	switch {
	case seen.disk == nil:
		c.differs(ByDisk, "there are no rules at %s", file)
	case seen.onDisk == "":
		c.differs(ByDisk, "%s is not a file of conforma-status", file)
	case seen.onDisk != r.Document.Mode:
		c.differs(ByDisk, "wanted is %s, the rules on disk are for %s", r.Document.Mode, seen.onDisk)
	case seen.known && seen.revision != r.Revision:
		c.differs(ByDisk, "wanted is revision %s, on disk is %s", r.Revision, seen.revision)
	default:
		text, err := c.rules(c.site, r.Door).Render(seen.onDisk, seen.revision)
		if err != nil || !bytes.Equal(text, seen.disk) {
			c.differs(ByDisk, "the rules on disk are not those of this configuration%s", c.whyOther())
		}
	}
	if same, err := c.httpInPlace(); err != nil || !same {
		c.differs(ByDisk, "%s is not that of this configuration%s", nginxconf.HTTPFile(c.Config.Nginx.ConfDir), c.whyOther())
	}
	waits, err := c.waits(c.site.Name)
	if err != nil {
		c.differs(ByDisk, "%v", err)
	}
	switch {
	case waits:
		c.differs(ByDisk, "this host has begun, and is shut until its agent has read the fleet's order")
	case r.Shut() == seen.shut:
	case seen.shut:
		c.differs(ByDisk, "the closed file is there: the site is shut")
	default:
		c.differs(ByDisk, "the closed file is missing")
	}
}

// whyOther says why a file may differ from what it should be. Before the first change of a site, only the configuration
// can have changed.
func (c *comparison) whyOther() string {
	if !c.seen.known {
		return " yet"
	}
	return ": edited by hand, or the configuration changed since"
}

func (c *comparison) withNginx() Live {
	seen := c.seen
	if seen.liveErr != nil {
		c.differs(ByNginx, "%v", seen.liveErr)
		return Live{Error: seen.liveErr.Error()}
	}
	if seen.onDisk != "" && seen.live.Revision != seen.revision {
		c.differs(ByNginx, "nginx serves revision %s (%s), on disk is %s (%s)",
			seen.live.Revision, seen.live.Mode, seen.revision, seen.onDisk)
	}
	if seen.live.Closed != seen.shut {
		c.differs(ByNginx, "nginx and the disk disagree about the closed file")
	}
	return Live{Mode: seen.live.Mode, Revision: seen.live.Revision, Closed: seen.live.Closed}
}

// withKernel looks at the kernel barrier of a site that has one. Whoever may not look is told so, which is no drift.
func (c *comparison) withKernel(ctx context.Context) InKernel {
	if !c.record.Barrier || c.Kernel == nil {
		return InKernel{}
	}
	ctx, cancel := context.WithTimeout(ctx, kernelTimeout)
	defer cancel()
	told, _, err := c.Dir().Barrier()
	var seen barrier.Seen
	if err == nil {
		master, _ := c.Nginx.Master() // without one it is put back before nginx starts
		seen, err = c.Kernel.Look(ctx, master, told.Rules)
	}
	switch {
	case errors.Is(err, barrier.ErrNotAllowed), errors.Is(err, workers.ErrCantEnter):
		return InKernel{Barrier: true, Error: err.Error()}
	case err != nil:
		c.differs(ByKernel, "%v", err)
		if errors.Is(err, barrier.ErrNotOurs) {
			c.record.SafeSince = nil
		}
		return InKernel{Error: err.Error()}
	case seen.Less: // since when isn't known
		c.record.SafeSince = nil
		c.differs(ByKernel, "the kernel barrier doesn't keep connections from the application: %s", seen.Differs)
		return InKernel{}
	}
	return InKernel{Barrier: true, Tried: &Tried{seen.Nginx[c.site.Name].Refused, seen.Outside[c.site.Name].Refused}}
}

// withStore returns what is published, nil where there is nothing that can be read.
func (c *comparison) withStore(ctx context.Context) *status.Document {
	there := c.fromStore(ctx)
	r, known := c.record, c.seen.known
	switch {
	case there == nil:
	case c.Config.Fleet != nil:
		if there.Wanted != "" && there.Wanted != r.Document.Mode {
			c.differs(ByStore, "ordered is %s (order %d), this host is %s", there.Wanted, there.Order, r.Document.Mode)
		}
	case known && r.Unpublished:
		c.differs(ByStore, "%s (seq %d) is not published yet, visitors are told %s (seq %d)",
			r.Document.Mode, r.Document.Seq, there.Mode, there.Seq)
	case known && (there.Seq != r.Document.Seq || !there.Same(c.Dir().Announced(r.Document, r.Hold))):
		c.differs(ByStore, "published is %s (seq %d), on record is %s (seq %d)",
			there.Mode, there.Seq, r.Document.Mode, r.Document.Seq)
	case !known && there.Mode.Closed():
		c.differs(ByStore, "published is %s, and this machine has no record of the site", there.Mode)
	}
	if there != nil {
		if want := *there; asConfigured(&want, c.site) {
			c.differs(ByStore, "%v: page %s, application %s", ErrOldAddress, there.PageURL, there.AppURL)
		}
	}
	return there
}

// ErrOldAddress is the error of a drift where the published addresses, or service_worker, differ from those of the
// configuration.
var ErrOldAddress = errors.New("published are other addresses, or another service_worker, than those of the configuration")

// fromStore reads what is published, and notes what can't be read or is missing.
func (c *comparison) fromStore(ctx context.Context) *status.Document {
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	there, err := c.published(ctx, c.site)
	switch {
	case err == nil:
		return &there
	case errors.Is(err, store.ErrNotFound):
		if c.seen.known {
			c.differs(ByStore, "nothing is published")
		}
	case errors.Is(err, errNotDocument):
		c.differs(ByStore, "what is published is %v", err)
	default:
		c.differs(ByStore, "what is published can't be read: %v", err)
	}
	return nil
}

// PublishedView is one site as a machine sees it that isn't its host.
type PublishedView struct {
	Site      string           `json:"site"`
	Mode      status.Mode      `json:"mode,omitempty"` // the published one; absent when there is none
	Published *status.Document `json:"published"`      // null when there is none, or none that can be read
	Drift     []Drift          `json:"drift"`          // why it can't be read; never null
}

// ViewPublished reads what is published of a site, and asks neither this machine nor its nginx.
func (h *Host) ViewPublished(ctx context.Context, s config.Site) PublishedView {
	c := &comparison{Host: h, site: s, drift: []Drift{}}
	v := PublishedView{Site: s.Name, Published: c.fromStore(ctx)}
	if v.Published != nil {
		v.Mode = v.Published.Mode
	}
	v.Drift = c.drift
	return v
}
