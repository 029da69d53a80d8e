package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// ErrNotTheOrder is returned (wrapped) by Ordering.Round where the switch has another order than the one that was to be
// there.
var ErrNotTheOrder = errors.New("somebody else has given an order meanwhile")

// IsStoreAway reports whether err means that the store can't be reached in time, or refuses.
func IsStoreAway(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrDenied) || errors.Is(err, context.DeadlineExceeded)
}

// Change is what a switch says, and what it said before: the zero Document where there was none.
type Change struct{ Was, Now status.Document }

// Ordering orders a mode for one site and waits for its members.
type Ordering struct {
	Name      string // of the site
	Public    store.Store
	Receipts  Receipts
	Key       []byte
	Now       func() time.Time
	Meta      store.Meta
	SwitchKey string
	// Words returns the document with what the order has it say, and the mode that it wants, over the one that is in the
	// switch now, the zero Document for none.
	Words func(status.Document) (status.Document, status.Mode, error)
	// Own is the highest order that this machine has followed.
	Own uint64
	// Only is the order that has to be in the switch, 0 for any.
	Only uint64
	// By and Reason are who gives the order, and why: the hosts' histories have that.
	By, Reason string

	// Was is the document before the order, the zero Document for none.
	Was status.Document
	// Said is what this machine has put into the switch last.
	Said Change
	// Ordered is when the order was put, zero before.
	Ordered time.Time
	// Members are as they were last read.
	Members Members
	// Unnoted is why the hosts aren't told who has given the order, nil where they are.
	Unnoted error
	// Reached is when each host was first seen to be where it was ordered to.
	Reached map[string]time.Time
	// Ended is what came of it, Done or Later, and "" as long as its members are waited for. See Orders.Await.
	Ended Do
	// Err is why the last round failed, nil where it didn't.
	Err error

	o     Orderer
	doc   *status.Document
	etag  string
	tried *status.Document // what was put without an answer
	notes notes
	known *Members // before the order, nil where they couldn't be read
}

// Order is the number of the order, 0 before it was put, and the mode that it wants.
func (g *Ordering) Order() (uint64, status.Mode) { return g.o.Order, g.o.Wanted }

// Document is the switch as it was last read or put, the zero Document for none.
func (g *Ordering) Document() status.Document {
	if g.doc == nil {
		return status.Document{}
	}
	return *g.doc
}

// Round goes on as far as it can without waiting: Do is Wait, Done or Later. After an error another round may follow.
func (g *Ordering) Round(ctx context.Context) (Do, error) {
	g.o.Own = g.Own
	g.o.Begin()
	for {
		step := g.o.Next()
		var err error
		switch step.Do {
		case Wait, Done, Later:
			return step.Do, nil
		case Look:
			err = g.look(ctx)
		case List:
			err = g.list(ctx)
		case Put:
			err = g.order(ctx, step)
		case Announce:
			d := Announced(*g.doc, step.Mode, g.Now())
			was := *g.doc
			if err = g.put(ctx, &d); err == nil {
				g.Said = Change{was, d}
				g.o.Announced(step.Mode)
			}
		}
		if errors.Is(err, store.ErrPrecondition) { // somebody else was quicker: what they have put is looked at first
			g.o.Begin()
			err = ctx.Err()
		}
		if err != nil {
			return Wait, err
		}
	}
}

func (g *Ordering) look(ctx context.Context) error {
	data, etag, err := store.GetIfChanged(ctx, g.Public, g.SwitchKey, g.etag)
	switch {
	case errors.Is(err, store.ErrUnchanged) && g.doc != nil:
	case errors.Is(err, store.ErrNotFound):
		g.doc, g.etag = nil, ""
	case err != nil:
		return fmt.Errorf("read the switch: %w", err)
	default:
		d, err := status.Parse(data)
		if err != nil {
			return fmt.Errorf("read the switch: %w", err)
		}
		g.doc, g.etag = &d, etag
	}
	sw := Switch{Wanted: status.Online, Mode: status.Online}
	if g.doc != nil {
		sw = SwitchOf(*g.doc, g.Key)
	}
	if t := g.tried; t != nil && g.doc != nil && g.doc.Seq == t.Seq && g.doc.Signature == t.Signature && g.doc.UpdatedAt.Equal(t.UpdatedAt) {
		g.ordered(ctx, t.Order) // its answer was lost
	}
	g.o.Saw(sw)
	return nil
}

// privateTimeout bounds what is done in the private store before a closing is ordered, and to note who has ordered.
const privateTimeout = 2 * time.Second

func (g *Ordering) list(ctx context.Context) error {
	if g.o.Order == 0 {
		return g.listBefore(ctx)
	}
	all, err := g.Receipts.Members(ctx)
	if err == nil {
		err = ctx.Err() // hosts that could not be read in time say nothing about themselves
	}
	if err != nil {
		return err
	}
	for _, r := range all.Receipts {
		if _, is := g.Reached[r.Host]; !is && reached(r, g.o.Order, g.o.Wanted) {
			g.Reached[r.Host] = g.Now()
		}
	}
	g.Members = all
	g.o.Listed(all)
	return nil
}

// listBefore reads the members, and the note of the orders, for the number of the order.
func (g *Ordering) listBefore(ctx context.Context) error {
	if g.o.Wanted.Closed() { // a closing doesn't wait for them
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, privateTimeout)
		defer cancel()
	}
	g.notes.store, g.notes.key = g.Receipts.Store, NoteKey(g.Receipts.Path)
	note, err := g.notes.read(ctx)
	if errors.Is(err, store.ErrDenied) {
		err = nil
	}
	var all Members
	if g.known = nil; err == nil {
		if all, err = g.Receipts.Members(ctx); err == nil {
			g.known = &all
		}
	}
	if err != nil && !g.o.Wanted.Closed() {
		return err
	}
	g.Members, g.Unnoted = all, err
	g.o.Asked(note)
	g.o.Listed(all)
	return nil
}

// Begin says which mode is to be ordered, for as long as Words doesn't say another.
func (g *Ordering) Begin(wanted status.Mode) { g.o.Wanted = wanted }

func (g *Ordering) order(ctx context.Context, step Step) error {
	was := g.Document()
	if g.Only != 0 && was.Order != g.Only {
		return fmt.Errorf("order %s: %w", g.Name, ErrNotTheOrder)
	}
	d, wanted, err := g.Words(was)
	if err != nil {
		return err
	}
	g.o.Wanted, g.Was = wanted, was
	d = Ordered(d, step.Order, wanted, g.Key, g.Now())
	if err := g.put(ctx, &d); err != nil {
		if !errors.Is(err, store.ErrPrecondition) {
			g.tried = &d
		}
		return err
	}
	g.ordered(ctx, d.Order)
	return nil
}

func (g *Ordering) ordered(ctx context.Context, order uint64) {
	g.tried, g.Said, g.Ordered, g.Reached = nil, Change{g.Was, *g.doc}, g.Now(), map[string]time.Time{}
	g.o.Ordered(order)
	if g.known == nil { // the private store is away
		return
	}
	ctx, cancel := context.WithTimeout(ctx, privateTimeout)
	defer cancel()
	g.Unnoted = g.notes.change(ctx, func(was *Note) (Note, bool) { return given(was, g.known, order, g.By, g.Reason) })
}

// put puts a document over the version that was read.
func (g *Ordering) put(ctx context.Context, d *status.Document) error {
	cond := store.IfAbsent()
	if g.doc != nil {
		cond, d.Seq = store.IfMatch(g.etag), g.doc.Seq+1
	}
	d.Seq = max(d.Seq, 1)
	d.UpdatedAt = g.Now().UTC().Truncate(time.Second)
	etag, err := g.Public.Put(ctx, g.SwitchKey, d.Marshal(), g.Meta, cond)
	if err != nil {
		return fmt.Errorf("put the switch: %w", err)
	}
	g.doc, g.etag = d, etag
	return nil
}

// Say puts other words about the site into the switch, and leaves its order alone.
func (g *Ordering) Say(ctx context.Context) error {
	for {
		if err := g.look(ctx); err != nil {
			return err
		}
		d, _, err := g.Words(g.Document())
		if err != nil {
			return err
		}
		if g.Was = g.Document(); d.Same(g.Was) {
			return nil
		}
		if err := g.put(ctx, &d); !errors.Is(err, store.ErrPrecondition) {
			if err == nil {
				g.Said = Change{g.Was, d}
			}
			return err
		}
	}
}
