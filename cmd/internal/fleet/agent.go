package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// Site is what an agent needs of a site on its host.
type Site interface {
	// Kept returns what is on disk of the orders for the site.
	Kept() (Kept, error)
	// Keep replaces it.
	Keep(context.Context, Kept) error
	// Local returns what there is of the site.
	Local() (Local, error)
	// Shut has the site let nobody in until an order was applied, and keeps that it waits.
	Shut(context.Context) error
	// Heard gives nginx the status document as it is now.
	Heard(context.Context, status.Document) error
	// Announced is told what this host has announced to visitors.
	Announced(Change) error
	// Alone is the document of a closing that was made here alone, over that which is in the store now, the zero
	// Document for none.
	Alone(status.Document) (status.Document, error)
}

// Agent follows the switch of one site. What has to be done to nginx it leaves to whoever calls it. Its methods must
// not be called at the same time.
type Agent struct {
	Name, Path string // of the site
	Site       Site
	Public     store.Store
	Private    store.Store
	Key        []byte
	Now        func() time.Time
	// Meta and SwitchKey are how and where the status document is stored.
	Meta      store.Meta
	SwitchKey string

	member   Member
	own      own
	receipts Receipts
	notes    notes
	lost     int              // how often the note was written in this round, or somebody else was quicker
	doc      *status.Document // as it was last read
	etag     string
}

// Start begins to follow as that host, which has that instance. A host that has never followed anything is shut,
// unless it gets to the order at once.
func (a *Agent) Start(host, instance string) {
	a.member = Member{Host: host, Instance: instance}
	a.own = own{store: a.Private, key: status.ReceiptKey(a.Path, host), instance: instance}
	a.receipts = Receipts{Store: a.Private, Path: a.Path}
	a.notes = notes{store: a.Private, key: NoteKey(a.Path)}
}

// Round looks at the switch and does all that doesn't touch nginx. If nginx has to change, Step.Do is Apply: the caller
// changes it, and then calls Applied. Otherwise it is Rest. It also returns the document that it read, the zero
// Document if there is none. An error ends a round early.
func (a *Agent) Round(ctx context.Context) (Step, status.Document, error) {
	kept, err := a.Site.Kept()
	if err != nil {
		return a.shut(ctx, err)
	}
	local, err := a.Site.Local()
	if err != nil {
		return a.shut(ctx, err)
	}
	a.member.Kept, a.member.Local = kept, a.member.refreshed(local)
	a.member.Begin(a.Now())
	a.lost = 0
	step, err := a.goOn(ctx)
	if err != nil && kept.Order == 0 && kept.Wanted == "" && !kept.Waits && !kept.Pending {
		// It has never read an order: nobody knows of it, and nobody would wait for it to close.
		return a.shut(ctx, err)
	}
	var doc status.Document
	if a.doc != nil {
		doc = *a.doc
	}
	return step, doc, err
}

// shut is what a host does that can't know what is ordered.
func (a *Agent) shut(ctx context.Context, why error) (Step, status.Document, error) {
	return Step{Do: Rest}, status.Document{}, errors.Join(why, a.Site.Shut(ctx))
}

// Applied goes on after a step of Apply, with what there is of the site since.
func (a *Agent) Applied(ctx context.Context, step Step, local Local) error {
	if err := a.Site.Keep(ctx, a.member.Applied(step, local, a.Now())); err != nil {
		return err
	}
	_, err := a.goOn(ctx)
	return err
}

// Before is what is to be kept before a step of Apply is taken.
func (a *Agent) Before(step Step) Kept { return a.member.Before(step) }

// Draining tells whoever waits that connections are left, while a step of Apply is taken.
func (a *Agent) Draining(ctx context.Context, step Step, left int) error {
	r := status.Receipt{
		Host: a.member.Host, Instance: a.member.Instance, Order: step.Kept.Order, Mode: step.Mode, Outcome: status.ReceiptShut,
		Left: left, UpdatedAt: a.Now(),
	}
	for {
		step := a.member.raise(r.Order)
		if step.Do == Rest {
			break
		}
		if err := a.take(ctx, step); err != nil {
			return err
		}
	}
	err := a.own.put(ctx, r, true)
	if err == nil {
		a.member.Stored(r)
	}
	return err
}

// Who returns who has given an order and why, "" for what nobody has noted. It is asked while a step of Apply is taken.
func (a *Agent) Who(ctx context.Context, order uint64) (by, reason string) {
	if a.doc == nil || a.doc.Order != order || !a.doc.IsSigned(a.Key) {
		return "", "" // it is none
	}
	if a.notes.note.Order != order && a.take(ctx, Step{Do: Ask}) != nil || a.notes.note.Order != order {
		return "", ""
	}
	return a.notes.note.By, a.notes.note.Reason
}

// goOn takes one step after another.
func (a *Agent) goOn(ctx context.Context) (Step, error) {
	for {
		step := a.member.Next()
		switch step.Do {
		case Rest, Apply:
			return step, nil
		}
		err := a.take(ctx, step)
		if err != nil || step.Do == Announce || step.Do == Order {
			return Step{Do: Rest}, err
		}
	}
}

// take takes a step that doesn't touch nginx.
func (a *Agent) take(ctx context.Context, step Step) error {
	switch step.Do {
	case Tell:
		return a.tell(ctx, step.Receipt)
	case Look:
		return a.look(ctx)
	case List:
		return a.list(ctx)
	case Ask:
		n, err := a.notes.read(ctx)
		if err == nil {
			a.member.Asked(n)
		}
		return a.without(err)
	case Raise:
		err := a.notes.put(ctx, step.Note)
		if lost := errors.Is(err, store.ErrPrecondition) && a.lost < attempts; lost || err == nil {
			a.lost++
			a.member.Raised(step.Note, !lost)
			return nil
		}
		return a.without(err)
	case Announce:
		was := *a.doc
		mine, err := a.put(ctx, Announced(was, step.Mode, a.Now()))
		if mine {
			err = errors.Join(err, a.Site.Announced(Change{was, *a.doc}))
		}
		return err
	case Order:
		return a.order(ctx, step)
	}
	return nil
}

// without has the member do without the note of the orders where this host may not read or write it.
func (a *Agent) without(err error) error {
	if !errors.Is(err, store.ErrDenied) {
		return err
	}
	a.member.Denied()
	return nil
}

func (a *Agent) tell(ctx context.Context, r status.Receipt) error {
	r.UpdatedAt = a.Now()
	err := a.own.put(ctx, r, a.member.Joined)
	switch {
	case errors.Is(err, errGone):
		// Whoever forgot this host has said that it is off. It isn't: it joins anew, as a host that begins.
		a.member.Gone()
		return errors.Join(fmt.Errorf("%w: it was forgotten while it was on", err), a.Site.Shut(ctx))
	case errors.Is(err, ErrOtherHost):
		return errors.Join(err, a.Site.Shut(ctx))
	case err != nil:
		return err
	}
	a.member.Stored(r)
	return nil
}

// look reads the switch, and gives what it says to nginx where that is new.
func (a *Agent) look(ctx context.Context) error {
	data, etag, err := store.GetIfChanged(ctx, a.Public, a.SwitchKey, a.etag)
	switch {
	case errors.Is(err, store.ErrUnchanged) && a.doc != nil:
		sw := SwitchOf(*a.doc, a.Key)
		a.member.Saw(&sw)
		return nil
	case errors.Is(err, store.ErrNotFound):
		a.doc, a.etag = nil, "" // nobody has published anything yet, or it was taken away
		a.member.Saw(&Switch{Wanted: status.Online, Mode: status.Online})
		return nil
	case err != nil:
		a.member.Saw(nil)
		return fmt.Errorf("read the switch: %w", err)
	}
	d, err := status.Parse(data)
	if err != nil {
		return fmt.Errorf("read the switch: %w", err)
	}
	if d.Site != a.Name {
		return fmt.Errorf("read the switch: it is that of site %q", d.Site)
	}
	a.doc, a.etag = &d, etag
	sw := SwitchOf(d, a.Key)
	a.member.Saw(&sw)
	if a.member.isBehind(sw) { // somebody has put it back: nginx goes on with what it has
		return nil
	}
	return a.Site.Heard(ctx, d)
}

func (a *Agent) list(ctx context.Context) error {
	all, err := a.receipts.Members(ctx)
	if err != nil {
		return err
	}
	a.member.Listed(all)
	return nil
}

// put puts a document into the switch, over the version that was read, and reports whether it is there.
func (a *Agent) put(ctx context.Context, d status.Document) (mine bool, err error) {
	cond := store.IfAbsent()
	if a.doc != nil {
		cond, d.Seq = store.IfMatch(a.etag), max(d.Seq, a.doc.Seq+1)
	}
	d.UpdatedAt = a.Now()
	etag, err := a.Public.Put(ctx, a.SwitchKey, d.Marshal(), a.Meta, cond)
	if errors.Is(err, store.ErrPrecondition) {
		return false, nil // somebody else was quicker: the next round sees what they have put
	}
	if err != nil {
		return false, fmt.Errorf("put the switch: %w", err)
	}
	a.doc, a.etag = &d, etag
	return true, a.Site.Heard(ctx, d)
}

// order makes an order of a closing that was made here alone.
func (a *Agent) order(ctx context.Context, step Step) error {
	var there status.Document
	if a.doc != nil {
		there = *a.doc
	}
	d, err := a.Site.Alone(there)
	if err != nil {
		return err
	}
	mine, err := a.put(ctx, Ordered(d, step.Order, step.Mode, a.Key, a.Now()))
	if !mine || err != nil {
		return err
	}
	err = a.notes.change(ctx, func(was *Note) (Note, bool) {
		return given(was, a.member.members, step.Order, a.member.Host, "it was closed there alone")
	})
	return a.without(err)
}
