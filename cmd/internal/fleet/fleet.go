// Package fleet decides what the hosts of a fleet do. They follow one switch: the status document of a site, which
// carries the order. Each host has a receipt. What a host does next, and what an orderer may say, is pure; the rest
// reads and writes the two stores.
package fleet

import (
	"maps"
	"slices"
	"time"

	"github.com/msupply-foundation/conforma-status/status"
)

// Switch is what the status document says to the hosts.
type Switch struct {
	Order  uint64      // 0 where nobody has ordered anything yet
	Wanted status.Mode // by the order; without one Mode
	Mode   status.Mode // what visitors are told
	Signed bool        // whether somebody with the fleet's key has given the order
}

// SwitchOf is the switch in a document.
func SwitchOf(d status.Document, key []byte) Switch {
	s := Switch{Order: d.Order, Wanted: d.Wanted, Mode: d.Mode, Signed: d.IsSigned(key)}
	if s.Order == 0 {
		s.Wanted = d.Mode
	}
	return s
}

// Ordered is d with that order, signed with the key. A closing is told visitors at once, with the same put; an opening
// once every member is open.
func Ordered(d status.Document, order uint64, wanted status.Mode, key []byte, now time.Time) status.Document {
	d.Order, d.Wanted = order, wanted
	if wanted.StricterThan(d.Mode) {
		d = Announced(d, wanted, now)
	}
	d.Sign(key)
	return d
}

// Announced is d as it tells visitors of that mode.
func Announced(d status.Document, mode status.Mode, now time.Time) status.Document {
	if d.Mode.Closed() != mode.Closed() {
		d.Since = now
	}
	if !mode.Closed() {
		d.ExpectedUntil, d.Message, d.Messages = nil, nil, nil
	}
	d.Mode = mode
	return d
}

// Members are the hosts of a site at one moment.
type Members struct {
	Receipts []status.Receipt
	// Unread are the hosts whose receipt can't be read or understood, and why. What they do isn't known.
	Unread map[string]error
}

// count is how many members there are, those that can't be read among them.
func (m Members) count() int { return len(m.Receipts) + len(m.Unread) }

// Highest is the highest order that any member has a receipt for.
func (m Members) Highest() uint64 {
	var n uint64
	for _, r := range m.Receipts {
		n = max(n, r.Order)
	}
	return n
}

// Missing are the members that are not where the order wants them, sorted. A host that can't be heard, or has said
// nothing about this very order, is one of them.
func (m Members) Missing(order uint64, wanted status.Mode) []string {
	return m.missing(order, wanted, 0)
}

func (m Members) missing(order uint64, wanted status.Mode, without rule) (names []string) {
	for _, r := range m.Receipts {
		if without == ruleReceiptNamesOrder {
			r.Order = order
		}
		if !reached(r, order, wanted) {
			names = append(names, r.Host)
		}
	}
	names = slices.AppendSeq(names, maps.Keys(m.Unread))
	slices.Sort(names)
	return names
}

// All reports whether all members, and there has to be one, are where the order wants them.
func (m Members) All(order uint64, wanted status.Mode) bool { return m.all(order, wanted, 0) }

func (m Members) all(order uint64, wanted status.Mode, without rule) bool {
	if without == ruleWholeFleet { // those that were heard of are enough
		return slices.ContainsFunc(m.Receipts, func(r status.Receipt) bool { return reached(r, order, wanted) })
	}
	return len(m.Receipts) > 0 && len(m.missing(order, wanted, without)) == 0
}

// reached reports whether a host is where the order wants it. A receipt for another order says nothing about this one:
// the site may have been open in between.
func reached(r status.Receipt, order uint64, wanted status.Mode) bool {
	outcome := status.ReceiptOpen
	if wanted.Closed() {
		outcome = status.ReceiptSafe
	}
	return r.Order == order && r.Mode == wanted && r.Outcome == outcome
}

// stricter is the one of two modes that lets fewer through.
func stricter(a, b status.Mode) status.Mode {
	if b.StricterThan(a) {
		return b
	}
	return a
}
