package maintenance

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// publishAttempts bounds how often a document is put again after somebody else's got in between.
const publishAttempts = 5

// update replaces the file at a key of the store with what change makes of it, nil for what stays as it is. was is nil
// where there is none. If somebody else gets in between, the file is read and change called again. An error of change
// comes back as it is, and nothing is written. put tells whether the file was written.
func (h *Host) update(ctx context.Context, key string, meta store.Meta, change func(was []byte) ([]byte, error)) (put bool, err error) {
	for range publishAttempts {
		cond := store.IfAbsent()
		was, etag, err := h.Store.Get(ctx, key)
		switch {
		case err == nil:
			cond = store.IfMatch(etag)
		case !errors.Is(err, store.ErrNotFound):
			return false, err
		}
		data, err := change(was)
		if err != nil || data == nil {
			return false, err
		}
		if _, err = h.Store.Put(ctx, key, data, meta, cond); !errors.Is(err, store.ErrPrecondition) {
			return err == nil, err
		}
	}
	return false, errChanging(key)
}

func errChanging(key string) error {
	return fmt.Errorf("publish %s: somebody else changes it at the same time", key)
}

// publication is what came of publishing a document.
type publication struct {
	doc     status.Document // as it is in the store now: its Seq may have grown
	put     bool            // false when the store had it already
	foreign *status.Document
}

// publish puts a document into the store, unless it is there already, with a sequence number above the one there. A
// document that somebody else has put there since own (our last sequence number, 0 for none) is replaced, and returned
// as foreign.
func (h *Host) publish(ctx context.Context, s config.Site, doc status.Document, own uint64) (publication, error) {
	p := publication{doc: doc}
	put, err := h.update(ctx, StatusKey(s), StatusMeta, func(was []byte) ([]byte, error) {
		there, err := status.Parse(was)
		switch {
		case errors.Is(err, status.ErrVersion):
			return nil, fmt.Errorf("replace %s: %w", StatusKey(s), err)
		case err != nil: // nothing, or no document
			return p.doc.Marshal(), nil
		case there.Same(doc) && there.Seq >= p.doc.Seq:
			p.doc = there
			return nil, nil
		}
		// What publish put there before this machine had a record says that the site is online.
		if there.Seq > own && there.Site == doc.Site && (own > 0 || there.Mode.Closed()) {
			p.foreign = &there
		}
		p.doc.Seq = max(p.doc.Seq, there.Seq+1)
		return p.doc.Marshal(), nil
	})
	if err != nil {
		return publication{}, err
	}
	p.put = put
	return p, nil
}

// errNotDocument is returned (wrapped) by published for what is not a status document.
var errNotDocument = errors.New("not a status document")

// published returns a site's document in the store. The error may wrap store.ErrNotFound or errNotDocument.
func (h *Host) published(ctx context.Context, s config.Site) (status.Document, error) {
	data, _, err := h.Store.Get(ctx, StatusKey(s))
	if err != nil {
		return status.Document{}, err
	}
	return parsePublished(data)
}

// parsePublished reads a status document that lies in the store. The error wraps errNotDocument.
func parsePublished(data []byte) (status.Document, error) {
	d, err := status.Parse(data)
	if err != nil {
		return status.Document{}, fmt.Errorf("%w: %w", errNotDocument, err)
	}
	return d, nil
}

// PublishStatus brings the store's document of a site up to date with this machine's record. Without a record it puts
// one there only where there is none. It returns the document in the store, and whether this call put it there.
func (h *Host) PublishStatus(ctx context.Context, s config.Site) (status.Document, bool, error) {
	unlock, err := h.lockIfAny(ctx)
	if err != nil {
		return status.Document{}, false, err
	}
	defer unlock()
	if in, err := h.Dir().Interrupted(); err != nil {
		return status.Document{}, false, err
	} else if in != nil {
		return status.Document{}, false, fmt.Errorf("publish the status: %w", ErrInterrupted)
	}
	r, known, err := h.Dir().Record(s.Name)
	if err != nil {
		return status.Document{}, false, err
	}
	if known && h.Config.Fleet == nil {
		done, err := h.publishRecord(ctx, s, &r)
		return done.doc, done.put, err
	}
	d, put, err := h.publishFirst(ctx, s)
	if err == nil && h.Config.Fleet == nil && h.Serves(s) && !d.Mode.Closed() {
		// An nginx that serves the site here says the same. One that can't be told says that the site is online, too.
		_ = h.Dir().WriteAnswers(d)
	}
	return d, put, err
}

// Serves reports whether this machine's nginx is to serve the site: its rules are here.
func (h *Host) Serves(s config.Site) bool {
	_, err := os.Stat(nginxconf.SiteFile(h.Config.Nginx.ConfDir, s.Name))
	return err == nil
}

// publishFirst publishes a site without a record if nothing is published yet, and returns the document in the store. If
// there is one, it only brings its addresses up to date.
func (h *Host) publishFirst(ctx context.Context, s config.Site) (d status.Document, put bool, err error) {
	put, err = h.update(ctx, StatusKey(s), StatusMeta, func(was []byte) (_ []byte, err error) {
		if was == nil {
			d = firstDocument(s, h.Clock.Now())
			d.Seq = 1
			return d.Marshal(), nil
		}
		if d, err = parsePublished(was); err != nil || d.Site != s.Name || !asConfigured(&d, s) {
			return nil, err
		}
		d.Seq, d.UpdatedAt = d.Seq+1, h.now()
		return d.Marshal(), nil
	})
	return d, put, err
}

// asConfigured gives a document what the configuration says of a site, its addresses for one, and reports whether it
// said otherwise.
func asConfigured(d *status.Document, s config.Site) bool {
	was := *d
	d.AppURL, d.PageURL, d.ServiceWorker = s.AppURL, s.PageURL, s.ServiceWorker
	return !d.Same(was)
}

// publishRecord publishes what the record says, with the addresses that are in the configuration now, and writes down
// that it did.
func (h *Host) publishRecord(ctx context.Context, s config.Site, r *state.Record) (publication, error) {
	if h.Config.Fleet != nil { // the agents see to it
		return publication{doc: r.Document}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if asConfigured(&r.Document, s) {
		r.Document.Seq, r.Document.UpdatedAt = r.Document.Seq+1, h.now()
	}
	h.withhold(ctx, s, r)
	done, err := h.publish(ctx, s, h.Dir().Announced(r.Document, r.Hold), r.Published)
	if err != nil {
		return publication{}, err
	}
	r.Document.Seq, r.Document.UpdatedAt = done.doc.Seq, done.doc.UpdatedAt
	r.Published, r.Unpublished = done.doc.Seq, false
	if err := h.Dir().WriteAnswers(done.doc); err != nil {
		return publication{}, err
	}
	return done, h.Dir().WriteRecord(s.Name, *r)
}

// withhold keeps from visitors that a site is in admin mode which stays shut, where they were never told that it was
// open in between: nothing could be published then.
func (h *Host) withhold(ctx context.Context, s config.Site, r *state.Record) {
	if !r.Unpublished || !r.KeptShut() || !r.Hold.Announced() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	if there, err := h.published(ctx, s); err == nil && there.Mode == status.Offline {
		r.Hold = state.HoldKeptShutUnannounced
	}
}

// announce publishes closings before they happen. A store that can't be reached holds up nothing. Who interrupts the
// command doesn't interrupt this: the sites are shut next.
func (r *run) announce(ctx context.Context, changes []*change) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), announceTimeout)
	defer cancel()
	return r.publishEach(ctx, changes, func(c *change) state.Hold { return c.record.Hold })
}

// publishAll publishes openings after they have happened.
func (r *run) publishAll(ctx context.Context, changes []*change) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	return r.publishEach(ctx, changes, r.hold)
}

// publishEach publishes each document, as the hold of its site has it, and gives it to nginx. Failures are marked for
// later.
func (r *run) publishEach(ctx context.Context, changes []*change, hold func(*change) state.Hold) error {
	if r.Config.Fleet != nil {
		return r.answerEach(changes, hold)
	}
	var errs []error
	for _, c := range changes {
		told := r.Dir().Announced(c.to, hold(c))
		var done publication
		var err error
		atOnce(
			func() { done, err = r.publish(ctx, c.site, told, c.record.Published) },
			func() {
				// Each waits for a disk, and a site that closes is open until then. Without a record the number may be
				// one that nginx has given to another document.
				if c.known && told.Mode.Closed() {
					_ = r.Dir().WriteAnswers(told) // what fails now fails again below
				}
			},
		)
		if err == nil {
			told = done.doc
			c.to.Seq, c.to.UpdatedAt = told.Seq, told.UpdatedAt
			c.record.Published, c.record.Unpublished = told.Seq, false
			c.receipt.Published = true
			if done.foreign != nil {
				c.receipt.warn(fmt.Sprintf("somebody else had published %s (seq %d) for %s; it is replaced", done.foreign.Mode, done.foreign.Seq, c.site.Name))
			}
		} else {
			c.record.Unpublished, c.receipt.Published = true, false
			c.receipt.PublishErr = err
			errs = append(errs, err)
		}
		if err := r.Dir().WriteAnswers(told); err != nil {
			c.receipt.warn(fmt.Sprintf("nginx still gives its earlier answers for %s: %v", c.site.Name, err))
		}
	}
	return errors.Join(errs...)
}
