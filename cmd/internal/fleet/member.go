package fleet

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/msupply-foundation/conforma-status/status"
)

// Kept is what a host keeps on its disk of the orders for a site. It is written before it is acted on.
type Kept struct {
	Order  uint64      // the highest that it has followed, 0 for none
	Wanted status.Mode // by that order; "" for none
	// Waits is set while the site is shut because the host has begun and has not read the order yet.
	Waits bool
	// Pending is set while the site was closed here alone, with the store away: that is to become an order.
	Pending bool
}

// Local is what there is of a site on this host.
type Local struct {
	Mode      status.Mode // that its nginx was last brought to
	SafeSince *time.Time  // nil while it is online, or something of before may be left
	Cut, Left int
	Error     string // why it is not where it is to be, "" for nothing
	Revision  string
}

// Do is what a member does next.
type Do string

// What a member can do.
const (
	Rest     Do = "rest"     // until the next round
	Tell     Do = "tell"     // write its own receipt, over the version that it knows and no other
	Look     Do = "look"     // read the switch
	List     Do = "list"     // read the receipts of all members
	Ask      Do = "ask"      // read the note of the orders
	Raise    Do = "raise"    // write that note, over the version that it read and no other
	Apply    Do = "apply"    // keep what it follows (see Before), then bring the site to that mode
	Announce Do = "announce" // put the wanted mode into the switch, over the version that it read and no other
	Order    Do = "order"    // put the closing that was made here alone into the switch as an order, likewise
)

// Step is one thing to do.
type Step struct {
	Do      Do
	Receipt status.Receipt // for Tell
	Kept    Kept           // for Apply: what is followed from now on
	Mode    status.Mode    // for Apply, Announce and Order
	Order   uint64         // for Order
	Note    Note           // for Raise
}

// retryAfter is how long a member that couldn't get to where it was ordered waits until it tries again.
const retryAfter = 30 * time.Second

// How many rounds after it has opened a member looks whether all have, at the earliest, and how often it looks again,
// at most. By then whoever ordered has announced it, where nothing went wrong. The members take turns: of a hundred
// hosts each would read the receipts of all others.
const (
	announceAfter = 3
	announceEvery = 6
)

// Member is what one host knows of one site. It decides; whoever asks it carries out and tells it what came of that.
type Member struct {
	Host, Instance string
	Kept           Kept
	Local          Local
	// Told is its receipt as it was last stored, the zero Receipt before.
	Told status.Receipt
	// Joined is set once its receipt was stored since it began.
	Joined bool

	now     time.Time // when the round began
	rested  int       // rounds since its receipt has said something new
	looked  bool
	sw      *Switch
	members *Members
	asked   bool
	note    *Note  // as it was read, nil for none
	denied  bool   // it may not read or write the note
	raised  uint64 // an order that the note is not below
	hosts   int    // how many members there were when that was last known, 0 before
	tried   *Step  // what was applied last, nil once it may be tried again
	triedAt time.Time
	without rule // for tests
}

// rule is one of the protocol's rules that a test can take out.
type rule int

const (
	_ rule = iota
	ruleOwnFirst
	ruleReceiptAfterDrain
	ruleReceiptNamesOrder
	ruleOpenWhenAllAre
	ruleHighestCounts
	ruleUnsignedCloses
	ruleNewerOrderCounts
	ruleWholeFleet
	ruleReadAgain
	ruleRaiseFirst
)

// Begin begins a round: what was read in the last one may be old.
func (m *Member) Begin(now time.Time) {
	m.now, m.looked, m.denied = now, false, false
	m.forget()
	m.rested++
	if !now.Before(m.triedAt.Add(retryAfter)) {
		m.tried = nil
	}
}

// Next is what to do. Each step but Rest has to be followed by the method that says what came of it.
func (m *Member) Next() Step {
	switch {
	case !m.Joined && m.without != ruleOwnFirst:
		// Its own receipt comes first: whoever lists the members after an order finds it, or it reads that order.
		return m.tell()
	case !m.looked:
		return Step{Do: Look}
	case m.sw == nil:
		return m.tell()
	}
	next, mode, follows := m.goal()
	orders := next.Pending && follows
	apply := Step{Do: Apply, Kept: next, Mode: mode}
	changes := follows && (next != m.Kept || !m.isAt(mode)) && (m.tried == nil || m.tried.Kept != next || m.tried.Mode != mode)
	opens := m.Kept.Waits || m.Local.Mode.StricterThan(mode)
	switch {
	case orders && m.members == nil:
		return Step{Do: List}
	case orders:
		return Step{Do: Order, Mode: next.Wanted, Order: next.Order + 1}
	case changes && opens && !m.asked && !m.denied:
		return Step{Do: Ask}
	case changes && opens && m.note == nil && m.members == nil:
		return Step{Do: List}
	case changes:
		return apply
	}
	if step := m.tell(); step.Do != Rest {
		return step
	}
	return m.announce()
}

// goal is what the switch wants of the site, and what is to be kept of it; false where it is not to be followed.
func (m *Member) goal() (next Kept, mode status.Mode, follows bool) {
	next = m.Kept
	highest := m.Kept.Order
	if m.members != nil {
		highest = max(highest, m.members.Highest())
	}
	if m.note != nil {
		highest = max(highest, m.note.Highest)
	}
	switch {
	case m.without == ruleNewerOrderCounts && m.Kept.Pending:
		next.Order = max(highest, m.sw.Order)
		return next, m.Kept.Wanted, true
	case m.sw.Order < highest && m.without != ruleHighestCounts:
		return next, "", false // it was put back: somebody has followed a later one
	case m.sw.Order > m.Kept.Order && (m.sw.Signed || m.without == ruleUnsignedCloses):
		return Kept{Order: m.sw.Order, Wanted: m.sw.Wanted}, m.sw.Wanted, true
	case m.sw.Order > 0 && !m.sw.Signed: // nobody with the key has said it: that closes at most
		return next, m.sw.Wanted, m.sw.Wanted.StricterThan(m.Local.Mode)
	case m.Kept.Pending:
		return next, m.Kept.Wanted, true
	case m.Kept.Wanted == "": // before the first order a host is as it was before there was a fleet
		next.Waits = false
		return next, stricter(m.Local.Mode, m.sw.Wanted), true
	}
	next.Waits = false
	return next, stricter(m.Kept.Wanted, m.sw.Wanted), true
}

// isAt reports whether the site is where it is to be.
func (m *Member) isAt(mode status.Mode) bool {
	return m.Local.Error == "" && m.Local.Mode == mode && (!mode.Closed() || m.Local.SafeSince != nil)
}

// tell is to tell what isn't told yet.
func (m *Member) tell() Step {
	r := m.receipt()
	if m.Joined && r.Says(m.Told) {
		return Step{Do: Rest}
	}
	if step := m.raise(r.Order); step.Do != Rest {
		return step
	}
	return Step{Do: Tell, Receipt: r}
}

// raise is what comes before a receipt names an order: whoever opens relies on the note. Where there is none yet, it is
// made of all receipts, once all can be read.
func (m *Member) raise(order uint64) Step {
	var n Note
	switch {
	case order <= m.raised || m.denied || m.without == ruleRaiseFirst:
		return Step{Do: Rest}
	case !m.asked:
		return Step{Do: Ask}
	case m.note != nil:
		n = *m.note
	case m.members == nil:
		return Step{Do: List}
	case len(m.members.Unread) > 0: // one that can't be read may be above
		return Step{Do: Rest}
	default:
		n = Note{Hosts: m.hosts, Highest: m.members.Highest()}
	}
	n.Highest = max(n.Highest, order)
	return Step{Do: Raise, Note: n}
}

// announce is to put the mode into the switch once all members are where it wants them, or at once where visitors are
// told that the site is more open than that.
func (m *Member) announce() Step {
	sw := *m.sw
	switch {
	case !sw.Signed || sw.Order != m.Kept.Order || sw.Wanted != m.Kept.Wanted || sw.Mode == sw.Wanted:
		return Step{Do: Rest}
	case sw.Wanted.StricterThan(sw.Mode), m.without == ruleOpenWhenAllAre:
		return Step{Do: Announce, Mode: sw.Wanted}
	case m.Kept.Waits || !m.isAt(sw.Wanted):
		return Step{Do: Rest}
	case m.members == nil && !m.isItsTurn():
		return Step{Do: Rest}
	case m.members == nil:
		return Step{Do: List}
	case m.members.all(sw.Order, sw.Wanted, m.without):
		return Step{Do: Announce, Mode: sw.Wanted}
	}
	return Step{Do: Rest}
}

// isItsTurn reports whether it is for this member to look whether all have opened.
func (m *Member) isItsTurn() bool {
	name := fnv.New64a()
	fmt.Fprintf(name, "%s %d", m.Host, m.Kept.Order)
	turns := uint64(max(m.hosts, announceEvery))
	return m.rested >= announceAfter && uint64(m.rested-announceAfter)%turns == name.Sum64()%turns
}

// receipt is what there is to tell.
func (m *Member) receipt() status.Receipt {
	r := status.Receipt{
		Host: m.Host, Instance: m.Instance, Order: m.Kept.Order, Mode: m.Local.Mode, Outcome: status.ReceiptShut,
		Cut: m.Local.Cut, Left: m.Local.Left, Error: m.Local.Error, Revision: m.Local.Revision,
	}
	switch {
	case m.Local.Error != "" && (!m.Local.Mode.Closed() || m.Local.Mode != m.Kept.Wanted):
		r.Outcome = status.ReceiptFailed
	case m.Local.Error != "": // shut by its closed file alone
	case m.Kept.Waits:
	case !m.Local.Mode.Closed():
		r.Outcome = status.ReceiptOpen
	case m.Local.SafeSince != nil:
		r.Outcome, r.SafeSince = status.ReceiptSafe, m.Local.SafeSince
	case m.without == ruleReceiptAfterDrain:
		r.Outcome, r.SafeSince = status.ReceiptSafe, &time.Time{}
	}
	return r
}

// Stored says that a receipt is in the store.
func (m *Member) Stored(r status.Receipt) { m.Told, m.Joined, m.members, m.rested = r, true, nil, 0 }

// Gone says that the receipt isn't in the store any more: the host was forgotten. It joins anew.
func (m *Member) Gone() { m.Joined, m.Kept.Waits = false, true }

// forget forgets what was read.
func (m *Member) forget() { m.sw, m.members, m.asked, m.note = nil, nil, false, nil }

// Saw says what the switch says, nil where that can't be read. What was read before may be older than that.
func (m *Member) Saw(sw *Switch) {
	m.forget()
	m.sw, m.looked = sw, true
}

// Listed says what the members say. Where they can't be read, the round is to end.
func (m *Member) Listed(all Members) { m.members, m.hosts = &all, all.count() }

// Asked says what the note says, nil where there is none. Where it can't be read, the round is to end.
func (m *Member) Asked(n *Note) {
	m.asked, m.note = true, n
	if n != nil {
		m.raised = n.Highest
		m.hosts = cmp.Or(n.Hosts, m.hosts)
	}
}

// Raised says whether that is what the note says now. It isn't where somebody else has changed it.
func (m *Member) Raised(n Note, is bool) {
	if m.asked = is; is {
		m.Asked(&n)
	}
}

// Denied says that this host may not read or write the note: it does without for a round.
func (m *Member) Denied() { m.denied, m.note = true, nil }

// Applied says what there is of the site after that step, and returns what is to be on disk from now on. A host that
// couldn't get there goes on waiting, where it did.
func (m *Member) Applied(step Step, local Local, now time.Time) Kept {
	m.Kept, m.Local = m.Before(step), local
	if local.Error == "" {
		m.Kept.Waits = step.Kept.Waits
	}
	m.tried, m.triedAt = &step, now
	return m.Kept
}

// Before is what is to be on disk before a step of Apply is taken.
func (m *Member) Before(step Step) Kept {
	kept := step.Kept
	kept.Waits = kept.Waits || m.Kept.Waits
	return kept
}

// refreshed is what there is of the site now, with what was wrong when it was last applied, until it is where it was to
// be.
func (m *Member) refreshed(local Local) Local {
	if m.tried != nil && m.Local.Error != "" && (local.Mode != m.tried.Mode || local.Mode.Closed() && local.SafeSince == nil) {
		local.Error, local.Left = m.Local.Error, m.Local.Left
	}
	return local
}

// isBehind reports whether the switch was put back to before what this host has followed.
func (m *Member) isBehind(sw Switch) bool { return sw.Order < m.Kept.Order }
