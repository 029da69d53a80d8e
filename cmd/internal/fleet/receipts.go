package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// ErrOtherHost is returned (wrapped) where the receipt of this host is another machine's: two have the same name.
var ErrOtherHost = errors.New("another machine has this host's name")

// ReceiptMeta is how a receipt is stored: nobody keeps a copy.
var ReceiptMeta = store.Meta{ContentType: "application/json; charset=utf-8", CacheControl: "no-store"}

// readers is how many receipts are read at the same time.
const readers = 8

// Receipts are the receipts of a site in the private store. What hasn't changed is read once. Its methods must not be
// called at the same time.
type Receipts struct {
	Store store.Store
	Path  string // the site's place in the store, "" for the root

	read map[string]read // by key
}

type read struct {
	etag    string
	receipt status.Receipt
	err     error // why it can't be understood
}

// Members lists the members of the site, and reads those receipts that have changed. A receipt that is gone since it
// was listed is left out; one that can't be read is among the unread.
func (r *Receipts) Members(ctx context.Context) (Members, error) {
	prefix := status.ReceiptPrefix(r.Path)
	objects, err := r.Store.List(ctx, prefix)
	if err != nil {
		return Members{}, fmt.Errorf("list the hosts: %w", err)
	}
	type one struct {
		key, host string
		read      read
		err       error
	}
	var all []*one
	var group errgroup.Group
	group.SetLimit(readers)
	for _, o := range objects {
		host, is := status.ReceiptHost(prefix, o.Key)
		if !is {
			continue
		}
		m := &one{key: o.Key, host: host}
		all = append(all, m)
		if was, known := r.read[o.Key]; known && was.etag == o.ETag {
			m.read = was
			continue
		}
		group.Go(func() error {
			m.read, m.err = r.get(ctx, m.key, m.host)
			return nil
		})
	}
	_ = group.Wait()
	members := Members{Unread: map[string]error{}}
	r.read = map[string]read{}
	for _, m := range all {
		switch {
		case errors.Is(m.err, store.ErrNotFound):
			continue
		case m.err != nil:
			members.Unread[m.host] = m.err
			continue
		case m.read.err != nil:
			members.Unread[m.host] = m.read.err
		default:
			members.Receipts = append(members.Receipts, m.read.receipt)
		}
		r.read[m.key] = m.read
	}
	return members, nil
}

func (r *Receipts) get(ctx context.Context, key, host string) (read, error) {
	data, etag, err := r.Store.Get(ctx, key)
	if err != nil {
		return read{}, err
	}
	receipt, err := status.ParseReceipt(data)
	if err == nil && receipt.Host != host {
		err = fmt.Errorf("it is that of %s", receipt.Host)
	}
	return read{etag, receipt, err}, nil
}

// own is the receipt of this host, as it is in the store.
type own struct {
	store    store.Store
	key      string
	instance string
	etag     string // of the version that this process wrote, "" where that isn't known
}

// errGone is returned by put where the receipt was there and isn't any more.
var errGone = errors.New("the receipt is gone")

// put writes the receipt over the version that this process knows, or over its own of an earlier run. The error wraps
// ErrOtherHost where the receipt is another machine's. It is errGone where somebody has removed it since this host
// joined.
func (o *own) put(ctx context.Context, r status.Receipt, joined bool) error {
	cond := store.IfMatch(o.etag)
	if o.etag == "" {
		data, etag, err := o.store.Get(ctx, o.key)
		switch {
		case errors.Is(err, store.ErrNotFound) && joined:
			return errGone
		case errors.Is(err, store.ErrNotFound):
			cond = store.IfAbsent()
		case err != nil:
			return fmt.Errorf("read this host's receipt: %w", err)
		default:
			if err := o.isOurs(data); err != nil {
				return err
			}
			cond = store.IfMatch(etag)
		}
	}
	o.etag = ""
	etag, err := o.store.Put(ctx, o.key, r.Marshal(), ReceiptMeta, cond)
	if err != nil {
		return fmt.Errorf("write this host's receipt: %w", err)
	}
	o.etag = etag
	return nil
}

// isOurs sees whose the receipt is that is there. One of a newer program is ours too, if it has our instance.
func (o *own) isOurs(data []byte) error {
	var there struct {
		Instance string `json:"instance"`
	}
	if err := json.Unmarshal(data, &there); err != nil || there.Instance != o.instance {
		return fmt.Errorf("%w: %s isn't this machine's", ErrOtherHost, o.key)
	}
	return nil
}
