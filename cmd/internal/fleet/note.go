package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"

	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// noteVersion is the version of a note that this program reads and writes.
const noteVersion = 1

// Note is what the private store has of the orders for a site, for all its hosts: a host that opens reads it, and not
// the receipts of all others.
type Note struct {
	Version int `json:"version"` // always 1
	// Highest is an order that no receipt of the site is above: a host raises it before its receipt names a higher one.
	Highest uint64 `json:"highest"`
	Hosts   int    `json:"hosts"` // how many members there were when it was last ordered, 0 where that isn't known

	// Order is the order that somebody was last noted for, 0 for none.
	Order  uint64 `json:"order"`
	By     string `json:"by"`     // who has given it, and where
	Reason string `json:"reason"` // "" for none
}

// notes is the note of one site, as it is in the private store. Its methods must not be called at the same time.
type notes struct {
	store store.Store
	key   string
	note  Note
	etag  string // of the note that was read, "" for none
}

// NoteKey is where the note of a site lies; site is the site's place in the store, "" for the root. No receipt's key
// ends like that, whatever the host is called: a policy can name all notes by their end.
func NoteKey(site string) string { return path.Join(site, "order_note.json") }

// read returns the note, nil where there is none that can be understood: put replaces that.
func (n *notes) read(ctx context.Context) (*Note, error) {
	data, etag, err := store.GetIfChanged(ctx, n.store, n.key, n.etag)
	switch {
	case errors.Is(err, store.ErrUnchanged):
	case errors.Is(err, store.ErrNotFound):
		n.note, n.etag = Note{}, ""
	case err != nil:
		return nil, fmt.Errorf("read the note of the orders: %w", err)
	default:
		n.note, n.etag = Note{}, etag
		if json.Unmarshal(data, &n.note) != nil {
			n.note = Note{}
		}
	}
	if !n.note.isOne() {
		n.note = Note{}
		return nil, nil
	}
	was := n.note
	return &was, nil
}

// isOne reports whether a program of this version has written the note, and no order in it is above what can be given.
func (n Note) isOne() bool {
	return n.Version == noteVersion && n.Highest > 0 && n.Highest < status.MaxOrder && n.Order <= n.Highest
}

// put writes the note over what was read and no other, else the error wraps store.ErrPrecondition.
func (n *notes) put(ctx context.Context, note Note) error {
	cond := store.IfAbsent()
	if n.etag != "" {
		cond = store.IfMatch(n.etag)
	}
	note.Version = noteVersion
	data, err := json.Marshal(note)
	if err != nil {
		return fmt.Errorf("write the note of the orders: %w", err)
	}
	etag, err := n.store.Put(ctx, n.key, append(data, '\n'), ReceiptMeta, cond)
	if err != nil {
		return fmt.Errorf("write the note of the orders: %w", err)
	}
	n.note, n.etag = note, etag
	return nil
}

// attempts is how often a note is written anew after somebody else was quicker.
const attempts = 10

// change replaces the note by what with makes of it. with gets nil where there is none, and returns false where nothing
// is to be written.
func (n *notes) change(ctx context.Context, with func(*Note) (Note, bool)) error {
	for i := 1; ; i++ {
		was, err := n.read(ctx)
		if err != nil {
			return err
		}
		now, is := with(was)
		if !is {
			return nil
		}
		if err := n.put(ctx, now); !errors.Is(err, store.ErrPrecondition) || i == attempts {
			return err
		}
	}
}

// given is the note once somebody has given an order; was is nil where there is none yet, and members are as they were
// listed before that order, nil where that isn't known. It is false where nothing is to be noted.
func given(was *Note, members *Members, order uint64, by, reason string) (Note, bool) {
	var n Note
	switch {
	case was != nil:
		n = *was
	case members == nil || len(members.Unread) > 0:
		return n, false // an order above the receipts of all hosts isn't known
	default:
		n.Highest = members.Highest()
	}
	if n.Order > order {
		return n, false
	}
	if members != nil {
		n.Hosts = members.count()
	}
	n.Highest, n.Order, n.By, n.Reason = max(n.Highest, order), order, by, reason
	return n, true
}
