package fleet

import (
	"context"
	"time"

	"github.com/msupply-foundation/conforma-status/status"
)

// Orders are orderings that are given together, one for each site.
type Orders []*Ordering

// putTimeout bounds how long it takes to put an order: a store that hangs must not keep this host open.
const putTimeout = 5 * time.Second

// Put puts all orders into their switches. The error wraps ErrNotTheOrder where a switch has another order than the one
// that was to be there, and IsStoreAway tells where the store is the reason.
func (os Orders) Put(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	for _, g := range os {
		for {
			_, err := g.Round(ctx)
			if n, _ := g.Order(); n > 0 { // what follows is waited for
				break
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Say puts other words into the switches, leaves their orders alone, and returns what each says then.
func (os Orders) Say(ctx context.Context) (said []status.Document, err error) {
	for _, g := range os {
		if err := g.Say(ctx); err != nil {
			return nil, err
		}
		said = append(said, g.Document())
	}
	return said, nil
}

// orderRound is how long an orderer waits until it looks at the hosts again.
const orderRound = 500 * time.Millisecond

// Await waits until each order has come to its end, see Ordering.Ended, or for as long as atMost says. After each round
// but the last it tells, and waits by sleep. A round that the end of that time interrupts says nothing about the store,
// but for the first.
func (os Orders) Await(ctx context.Context, atMost time.Duration, sleep func(context.Context, time.Duration) error, tell func()) {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	for first := true; ; first = false {
		waits := false
		for _, g := range os {
			if g.Ended != "" {
				continue
			}
			do, err := g.Round(ctx)
			if err == nil && do != Wait {
				g.Ended = do
			}
			if first || err == nil || ctx.Err() == nil {
				g.Err = err
			}
			waits = waits || g.Ended == ""
		}
		if !waits || ctx.Err() != nil {
			return
		}
		tell()
		if sleep(ctx, orderRound) != nil || ctx.Err() != nil {
			return
		}
	}
}

// Done reports whether all hosts are where they were ordered to.
func (os Orders) Done() bool {
	for _, g := range os {
		if g.Ended != Done {
			return false
		}
	}
	return true
}
