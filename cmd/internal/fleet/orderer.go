package fleet

import (
	"github.com/msupply-foundation/conforma-status/status"
)

// Orderer is a set that orders a mode and waits until all members are there. It decides like a Member.
type Orderer struct {
	Wanted status.Mode
	// Own is the highest order that this machine has on record, 0 for none.
	Own uint64
	// Order is its order once that is in the switch, 0 before.
	Order uint64

	sw      *Switch
	members *Members
	noted   uint64 // the highest order by the note, 0 where there is none
	again   bool   // the switch was read after the members
	without rule   // for tests
}

// What an orderer can do beside Look, List and Announce.
const (
	Put   Do = "put"   // put the order into the switch, over the version that it read and no other
	Wait  Do = "wait"  // a while, and begin another round
	Done  Do = "done"  // all members are there
	Later Do = "later" // a later order has taken the place of this one
)

// Begin begins a round: what was read in the last one may be old.
func (o *Orderer) Begin() { o.sw, o.members, o.again = nil, nil, false }

// Next is what to do: "done" is said when all members that are listed after the order was put are there, and the
// order, read again after that, still is this one.
func (o *Orderer) Next() Step {
	if o.Order == 0 {
		switch {
		case o.sw == nil:
			return Step{Do: Look}
		case o.members == nil:
			return Step{Do: List}
		}
		return Step{Do: Put, Mode: o.Wanted, Order: o.number()}
	}
	switch {
	case o.sw == nil:
		return Step{Do: Look}
	case !o.isStill():
		return Step{Do: Later}
	case o.members == nil:
		return Step{Do: List}
	case !o.members.all(o.Order, o.Wanted, o.without):
		return Step{Do: Wait}
	case o.sw.Mode != o.Wanted:
		return Step{Do: Announce, Mode: o.Wanted}
	case !o.again && o.Wanted.Closed() && o.without != ruleReadAgain:
		return Step{Do: Look} // a later order may have opened a member since it wrote its receipt
	}
	return Step{Do: Done}
}

// number is above every order that was given with the key. One that nobody signed doesn't count, and neither does the
// highest number there can be, whoever names it: they could use up all there are, and nobody could close any more.
func (o *Orderer) number() uint64 {
	n := o.Own
	if heard := max(o.noted, o.members.Highest()); heard < status.MaxOrder {
		n = max(n, heard)
	}
	if o.sw.Signed {
		n = max(n, o.sw.Order)
	}
	return n + 1
}

func (o *Orderer) isStill() bool {
	return o.sw.Signed && o.sw.Order == o.Order && o.sw.Wanted == o.Wanted
}

// Ordered says that the order is in the switch.
func (o *Orderer) Ordered(order uint64) {
	o.Order = order
	o.Begin()
}

// Saw says what the switch says.
func (o *Orderer) Saw(sw Switch) { o.sw, o.again = &sw, o.members != nil }

// Asked says what the note of the orders says, nil where there is none or it isn't known.
func (o *Orderer) Asked(n *Note) {
	if n != nil {
		o.noted = n.Highest
	}
}

// Listed says what the members say.
func (o *Orderer) Listed(all Members) { o.members = &all }

// Announced says that the mode is in the switch.
func (o *Orderer) Announced(mode status.Mode) { o.sw.Mode = mode }
