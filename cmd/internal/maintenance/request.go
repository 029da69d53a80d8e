package maintenance

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/status"
)

// Request is what an operator asks for.
type Request struct {
	Mode  status.Mode
	Sites []config.Site
	ETA   *time.Time // nil keeps the one that is announced
	// Longer, where it isn't 0, puts off the ETA that is announced. Where none is the error wraps ErrNoETA, and where the
	// new one has passed ErrETAPassed.
	Longer  time.Duration
	Message *string // likewise; that for readers of any language
	// Messages are those in one language each, by BCP 47 tag. With Message they replace the announced; both nil keep it.
	Messages map[string]string
	Reason   string // for the record, not for visitors
	Force    bool   // go on where the configuration of nginx is known to have holes
	DryRun   bool
	// Drain is how long to wait for what was let in earlier; after it what is left is cut, unless NoCut is set.
	Drain time.Duration
	NoCut bool
	// Claims are the claims of an earlier change's receipts, by site. If somebody else has set a site since, the error
	// wraps ErrClaimed. A site without a claim is changed whoever set it last.
	Claims map[string]string
	// MustAnswer has an opening fail where the application doesn't answer.
	MustAnswer bool
	Keeps      Keeps
	// ordered is a fleet's order, by site: it says what Mode and the rest don't.
	ordered map[string]following
}

// Keeps is what of a site a request leaves as it is, whatever else it says.
type Keeps int

const (
	// KeepsNothing takes the request as it stands.
	KeepsNothing Keeps = iota
	// KeepsClosed has a site that is closed already keep its ETA and its words, and its mode where that is stricter.
	KeepsClosed
	// KeepsMode changes the words alone and leaves nginx alone. For a site that is online the error wraps ErrOnline.
	KeepsMode
)

// ErrOnline is returned (wrapped) for a change of words about a site that is online: there is nothing to say.
var ErrOnline = errors.New("the site is online")

// ErrNoETA is returned (wrapped) where an ETA is to be put off and none is announced.
var ErrNoETA = errors.New("no ETA is announced")

// ErrETAPassed is returned (wrapped) where an ETA that is put off would have passed all the same.
var ErrETAPassed = errors.New("the new ETA has passed already")

// ErrClaimed is returned (wrapped) for a site that somebody else has set since it was closed.
var ErrClaimed = errors.New("somebody else has set its mode since")

// supersedes reports whether the request closes a site that an interrupted change was about to open further: finishing
// that first would let people in.
func (req Request) supersedes(interrupted state.SiteChange) bool {
	return req.Mode.StricterThan(interrupted.To.Mode) &&
		slices.ContainsFunc(req.Sites, isNamed(interrupted.Site))
}

// intent is what the request has the journal say.
func (req Request) intent() state.Intent {
	return state.Intent{Reason: req.Reason, Force: req.Force, Drain: req.Drain, MustAnswer: req.MustAnswer}
}

// fit has the request fit a site of which was is said: words alone keep its mode, and an ETA is put off from there.
func (req *Request) fit(was status.Document, now time.Time) error {
	if req.Keeps == KeepsMode {
		req.Mode = was.Mode
	}
	switch {
	case req.Keeps == KeepsMode && !was.Mode.Closed():
		return fmt.Errorf("change what is said about %s: %w", was.Site, ErrOnline)
	case req.Longer == 0:
		return nil
	case was.ExpectedUntil == nil:
		return fmt.Errorf("extend the ETA of %s: %w", was.Site, ErrNoETA)
	}
	eta := was.ExpectedUntil.Add(req.Longer)
	if !eta.After(now) {
		return fmt.Errorf("extend the ETA of %s: %w", was.Site, ErrETAPassed)
	}
	req.ETA = &eta
	return nil
}

// keep leaves to whoever closed a site what they said of it.
func (req *Request) keep(was status.Document) {
	if req.Keeps != KeepsClosed || !was.Mode.Closed() {
		return
	}
	req.ETA, req.Message, req.Messages = nil, nil, nil
	if was.Mode.StricterThan(req.Mode) {
		req.Mode = was.Mode
	}
}

// next is the document that follows from was and what is asked for.
func next(was status.Document, s config.Site, req Request, now time.Time) status.Document {
	d := was
	d.Mode = req.Mode
	asConfigured(&d, s)
	if was.Mode.Closed() != req.Mode.Closed() {
		d.Since = now
	}
	if !req.Mode.Closed() {
		d.ExpectedUntil, d.Message, d.Messages = nil, nil, nil
		return d
	}
	if req.ETA != nil {
		d.ExpectedUntil = req.ETA
	}
	if req.Message != nil || req.Messages != nil {
		d.Message, d.Messages = req.Message, req.Messages
	}
	return d
}

// firstDocument is the document of a site that this machine has no record of.
func firstDocument(s config.Site, now time.Time) status.Document {
	return status.Document{
		Version: status.Version, Site: s.Name, Mode: status.Online, Seq: 0, Since: now, UpdatedAt: now,
		AppURL: s.AppURL, PageURL: s.PageURL, ServiceWorker: s.ServiceWorker,
	}
}
