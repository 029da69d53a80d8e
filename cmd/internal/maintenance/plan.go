package maintenance

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
	"github.com/msupply-foundation/conforma-status/status"
)

// Request is what an operator asks for.
type Request struct {
	Mode    status.Mode
	Sites   []config.Site
	ETA     *time.Time // nil keeps the one that is announced
	Message *string    // likewise; that for readers of any language
	// Messages are those for readers of one language, by BCP 47 tag. Message and Messages together replace what is
	// announced; where both are nil that stays.
	Messages map[string]string
	Reason   string // for the record, not for visitors
	Force    bool   // go on where the configuration of nginx is known to have holes
	DryRun   bool
	// Drain is how long to wait for what was let in earlier; after it what is left is cut, unless NoCut is set.
	Drain time.Duration
	NoCut bool
	// Claims are, by site, the claims of the receipts of an earlier change: where somebody else has set a site since,
	// the error wraps ErrClaimed. A site without one is changed whoever set it.
	Claims map[string]string
	// MustAnswer has an opening fail where the application doesn't answer.
	MustAnswer bool
	// WordsOnly keeps each site's mode and doesn't look at nginx: Mode is not used. It is an error for a site that
	// is online, which wraps ErrOnline.
	WordsOnly bool
}

// ErrOnline is returned (wrapped) for a change of words about a site that is online: there is nothing to say.
var ErrOnline = errors.New("the site is online")

// ErrClaimed is returned (wrapped) for a site that somebody else has set since it was closed.
var ErrClaimed = errors.New("somebody else has set its mode since")

// change is the way of one site to its new mode.
type change struct {
	site    config.Site
	record  Record
	known   bool // whether this machine had a record of the site
	from    status.Mode
	to      status.Document
	rules   []byte
	ordered uint64 // the new Record.Changes
	rev     string // of rules
	door    string // in rules; set when the site is opened from behind its closed file
	receipt *Receipt
	// why is why nginx's configuration could not be looked through for other ways to the application, nil where it was.
	why error
	// serving is what nginx's configuration says of the site; without one it is what ours says.
	serving operator.Serving
	drained *time.Time // when nothing of before was left, nil before
	// seenShut is when nginx was first seen to be shut by this change, nil before.
	seenShut *time.Time

	// reapply is set when nginx has to take up new rules; otherwise only the documents change, if anything.
	reapply bool
	// shutFirst is set when something that is, or may be, in force is more open than what is asked for: the site
	// is shut by its closed file until the new rules alone are in force.
	shutFirst bool
	// announceFirst is set when nginx is at least as open as what is asked for, so that announcing it can't
	// run ahead.
	announceFirst bool
	// inForce is set where the rules of the record are what is on disk and what nginx serves.
	inForce bool
}

// facts is what is known of a site at the beginning of a change.
type facts struct {
	diskMode status.Mode // of the rules in place, "" when there are none or they are not ours
	diskRev  string
	disk     []byte
	live     control.Answer
	liveErr  error
	shut     bool // whether the closed file is there
}

func (h *Host) look(ctx context.Context, s config.Site) (facts, error) {
	var f facts
	data, err := os.ReadFile(nginxconf.SiteFile(h.Config.Nginx.ConfDir, s.Name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return f, fmt.Errorf("read the rules in place: %w", err)
	}
	f.disk = data
	f.diskMode, f.diskRev = header(data)
	f.live, f.liveErr = h.Probe(ctx, target(s))
	f.shut = h.isShut(s.Name)
	return f, nil
}

// effective is the mode that visitors find: what nginx says, or, when it says nothing, the strictest of
// what is on disk and on record.
func (f facts) effective(recorded status.Mode) status.Mode {
	if f.liveErr == nil {
		if f.live.Closed {
			return status.Offline
		}
		return f.live.Mode
	}
	if f.shut {
		return status.Offline
	}
	if f.diskMode != "" && f.diskMode.StricterThan(recorded) {
		return f.diskMode
	}
	return recorded
}

// mostOpen is the most open mode that any worker of nginx may be following, but for the closed file.
func (f facts) mostOpen(recorded status.Mode) status.Mode {
	open := recorded
	if f.diskMode != "" && open.StricterThan(f.diskMode) {
		open = f.diskMode
	}
	if f.liveErr == nil && open.StricterThan(f.live.Mode) {
		open = f.live.Mode
	}
	return open
}

// inForce reports whether the rules of r are what is on disk and what nginx serves, with the closed file as it belongs.
func (h *Host) inForce(s config.Site, r Record, f facts) (bool, error) {
	rules, err := h.rules(s, r.Door).Render(r.Document.Mode, r.Revision)
	if err != nil {
		return false, err
	}
	http, err := nginxconf.HTTP(h.Config.Gate.Socket)
	if err != nil {
		return false, err
	}
	httpDisk, _ := os.ReadFile(nginxconf.HTTPFile(h.Config.Nginx.ConfDir))
	shut := r.Document.Mode == status.Offline || r.held()
	return bytes.Equal(rules, f.disk) && bytes.Equal(http, httpDisk) && f.liveErr == nil &&
		f.live.Mode == r.Document.Mode && f.live.Revision == r.Revision &&
		f.shut == shut && f.live.Closed == shut, nil
}

// plan works out the way of one site to mode. A document given in want is taken as it is (an interrupted
// change is finished with the one it had); otherwise it follows from the request.
func (h *Host) plan(ctx context.Context, s config.Site, req Request, want *status.Document) (*change, error) {
	c := &change{site: s}
	var err error
	c.record, c.known, err = h.record(s.Name)
	if errors.Is(err, ErrRecord) && !req.DryRun {
		// Which mode was wanted isn't known, but what holds is seen, and the operator says what is wanted now.
		err = h.setAside(h.recordFile(s.Name), err)
	}
	if err != nil {
		return nil, err
	}
	now := h.Clock.Now().UTC().Truncate(time.Second)
	if !c.known {
		c.record = Record{Document: unknown(s, now)}
	}
	f, err := h.look(ctx, s)
	if err != nil {
		return nil, err
	}
	recorded := c.record.Document.Mode
	c.from = recorded
	if req.WordsOnly {
		if req.Mode = recorded; !recorded.Closed() {
			return nil, fmt.Errorf("change what is said about %s: %w", s.Name, ErrOnline)
		}
	}
	if want != nil {
		c.to = *want
	} else {
		c.to = next(c.record.Document, s, req, now)
	}
	if c.inForce, err = h.inForce(s, c.record, f); err != nil {
		return nil, err
	}
	c.reapply = !req.WordsOnly && !(c.known && recorded == c.to.Mode && c.inForce && c.record.safe())
	open := f.mostOpen(recorded)
	if c.known && !c.record.safe() {
		open = status.Online // what was let in before it closed may still be there
	}
	c.shutFirst = c.reapply && c.to.Mode.Closed() && !open.StricterThan(c.to.Mode)
	c.announceFirst = c.to.Mode.Closed() && !f.effective(recorded).StricterThan(c.to.Mode)
	if c.reapply || !c.to.Same(c.record.Document) {
		if want == nil {
			c.to.Seq, c.to.UpdatedAt = c.record.Document.Seq+1, now
		}
	} else {
		c.to = c.record.Document
	}
	c.ordered = max(c.record.Changes, order(f.diskRev), order(f.live.Revision)) + 1
	// A site that goes admin is closed by that, unless it was offline: then this finishes an opening that was interrupted.
	if c.reapply && f.shut && c.to.Mode != status.Offline && (!c.shutFirst || recorded.StricterThan(c.to.Mode)) {
		c.door = rand.Text()
	}
	if c.rev, err = h.rules(s, c.door).Revision(c.to.Mode, c.ordered); err != nil {
		return nil, err
	}
	if c.rules, err = h.rules(s, c.door).Render(c.to.Mode, c.rev); err != nil {
		return nil, err
	}
	c.receipt = &Receipt{
		Site: s.Name, Mode: c.to.Mode, Previous: recorded, Outcome: Done, ClosedAt: c.record.ClosedAt, WasCut: c.record.Cut > 0,
		Warnings: []string{}, Steps: []StepTime{},
	}
	return c, nil
}

// next is the document that follows from was and what is asked for.
func next(was status.Document, s config.Site, req Request, now time.Time) status.Document {
	d := was
	d.Mode, d.AppURL, d.PageURL = req.Mode, s.AppURL, s.PageURL
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

var headerLine = regexp.MustCompile(`^# conforma-status: site \S+ is (online|offline|admin), revision ([0-9]+-[0-9a-f]{8})\.`)

// header reads mode and revision from the first line of rendered rules; both are "" when they aren't ours.
func header(rules []byte) (status.Mode, string) {
	m := headerLine.FindSubmatch(rules)
	if m == nil {
		return "", ""
	}
	return status.Mode(m[1]), string(m[2])
}

// order is the number at the start of a revision, 0 when there is none.
func order(revision string) uint64 {
	n, _, _ := bytes.Cut([]byte(revision), []byte("-"))
	v, err := strconv.ParseUint(string(n), 10, 63)
	if err != nil {
		return 0
	}
	return v
}
