package maintenance

import (
	"errors"
	"slices"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/status"
)

// Receipt says what came of a change of one site. It is what an operator files.
type Receipt struct {
	Site          string        `json:"site"`
	Mode          status.Mode   `json:"mode"` // the one asked for
	Previous      status.Mode   `json:"previous"`
	Outcome       state.Outcome `json:"outcome"`
	Revision      string        `json:"revision,omitempty"`
	Seq           uint64        `json:"seq"`
	Since         time.Time     `json:"since"`
	ExpectedUntil *time.Time    `json:"expectedUntil"`
	Message       *string       `json:"message"`
	// Messages are those in one language each, by BCP 47 tag; null when there are none.
	Messages  map[string]string `json:"messages"`
	PageURL   string            `json:"pageUrl"`
	ClosedAt  *time.Time        `json:"closedAt"`  // when nginx was seen to be shut; null while the site is online
	SafeSince *time.Time        `json:"safeSince"` // since when it is safe to take a snapshot; null when it isn't
	Drained   int               `json:"drained"`   // connections that ended by themselves
	Cut       int               `json:"cut"`       // connections that were cut
	Left      int               `json:"left"`      // connections, and workers that can't be looked at, that are still there
	// Vouched is whether the site's settled command says that the application is idle.
	Vouched bool `json:"vouched"`
	// Barrier is whether the kernel keeps connections from the application, see state.Record.
	Barrier bool `json:"barrier"`
	// NoBarrier says of a closed site why it doesn't, "" where it does, or isn't to.
	NoBarrier string `json:"noBarrier,omitempty"`
	// Tried is what the kernel has refused while the site was closed; null where it had no barrier, or stays closed.
	Tried     *Tried     `json:"tried,omitempty"`
	Published bool       `json:"published"`
	Steps     []StepTime `json:"steps"` // never null
	Warnings  []string   `json:"warnings"`
	Error     string     `json:"error,omitempty"`

	// Claim stands for this change, see Request.Claims.
	Claim string `json:"-"`
	// Remains says what is left, as people count it, "" where nothing is: one request has two connections in Left.
	Remains string `json:"-"`
	// Doubt is why the application may be at work though nothing is seen to be left, "" where that isn't known. That on
	// record holds until the site is drained again.
	Doubt state.NotSafe `json:"-"`
	// Unanswered is set when the site is open and its application doesn't answer.
	Unanswered bool `json:"-"`
	// On is which of the site's hosts the receipt is about.
	On Hosts `json:"-"`
	// PublishErr is why Published is false, nil otherwise.
	PublishErr error `json:"-"`

	// Err is what Error says, for errors.Is; nil when the change succeeded.
	Err error `json:"-"`
}

// Hosts are those of a site that a receipt is about.
type Hosts int

const (
	// OnItsHost means that the site has one host, this one.
	OnItsHost Hosts = iota
	// OnAnother means that the site lives on another machine: what is published of it was changed, and nothing else.
	OnAnother
	// OnOneOfFleet means that the site has several hosts: the receipt says nothing of the others.
	OnOneOfFleet
	// OnOneAlone is OnOneOfFleet of a site that was closed on this host alone: what the others do isn't known.
	OnOneAlone
)

// Tried is how often somebody tried to reach the application of a closed site, and was refused by the kernel.
type Tried struct {
	Nginx   uint64 `json:"nginx"`   // nginx itself: a certificate authority asked, or a way leads past the rules
	Outside uint64 `json:"outside"` // from outside the machine
}

// StepTime is how long one step took.
type StepTime struct {
	Step         Step    `json:"step"`
	Milliseconds float64 `json:"ms"`
}

// NotSafe is why it isn't safe to take a snapshot of the site, where it is closed and SafeSince is nil.
func (r *Receipt) NotSafe() state.NotSafe {
	switch {
	case r.Unfinished():
		return state.NotSafeUnfinished
	case r.Remains != "":
		return state.NotSafeLeft
	}
	return r.Doubt
}

// Unfinished reports whether the closed file alone keeps the site shut: nginx doesn't use the new rules.
func (r *Receipt) Unfinished() bool { return r.Outcome == state.Shut && r.Err != nil }

// warn says something, once.
func (r *Receipt) warn(text string) {
	if !slices.Contains(r.Warnings, text) {
		r.Warnings = append(r.Warnings, text)
	}
}

// withoutBarrier says why a site has no kernel barrier, unless that was asked for.
func (r *Receipt) withoutBarrier(why error) {
	if why != nil && !errors.Is(why, errBarrierOff) {
		r.NoBarrier = why.Error()
	}
}

// fail marks the receipt of a change that could not be completed.
func (r *Receipt) fail(outcome state.Outcome, err error) {
	r.Outcome, r.Err, r.Error = outcome, err, err.Error()
}

// describe fills in what the document says.
func (r *Receipt) describe(d status.Document) {
	r.Seq, r.Since, r.ExpectedUntil, r.PageURL = d.Seq, d.Since, d.ExpectedUntil, d.PageURL
	r.Message, r.Messages = d.Message, d.Messages
}
