package fleet

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// asked is a store that says first what is asked of it, and fails where it is told to.
type asked struct {
	store.Store
	of func(key string) error
}

func (a asked) Get(ctx context.Context, key string) ([]byte, string, error) {
	if err := a.of(key); err != nil {
		return nil, "", err
	}
	return a.Store.Get(ctx, key)
}

// TestAwaitEnds has the time for an order run out while one of two hosts is down: that is said of the host, and of the
// store only where it is away.
func TestAwaitEnds(t *testing.T) {
	const theSwitch, theReceipt = "demo/" + status.FileName, "demo/hosts/app-1.json"
	away := errors.New("made up: the store is away")
	for name, c := range map[string]struct {
		round  int    // in which the time is over
		during string // the object that is read then, "" for the wait after it
		away   string // an object that can't be read before that
		want   error
	}{
		"while it waits":                        {1, "", "", nil},
		"while the switch is read":              {2, theSwitch, "", nil},
		"while a receipt is read":               {2, theReceipt, "", nil},
		"in the only round":                     {1, theSwitch, "", context.Canceled},
		"after the store was away":              {1, "", theSwitch, away},
		"while the store that was away is read": {2, theSwitch, theSwitch, away},
	} {
		t.Run(name, func(t *testing.T) {
			public, private := dirStore(t), dirStore(t)
			up, down := agentOf(1, public, private), agentOf(2, public, private)
			ctx, cancel := context.WithCancel(t.Context())
			round := 0
			of := func(key string) error {
				switch {
				case round == c.round && key == c.during:
					cancel()
					return ctx.Err()
				case round > 0 && key == c.away:
					return away
				}
				return nil
			}
			g := orderingOf(status.Offline, asked{public, of}, asked{private, of})
			for _, a := range []*agent{up, down} { // they join
				if err := a.round(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := (Orders{g}).Put(ctx); err != nil {
				t.Fatal(err)
			}
			round = 1
			Orders{g}.Await(ctx, time.Hour, func(ctx context.Context, _ time.Duration) error {
				if round == c.round && c.during == "" {
					cancel()
					return ctx.Err()
				}
				if round++; round > 2 {
					t.Fatal("it goes on")
				}
				return up.round(t.Context())
			}, func() {})
			if !errors.Is(g.Err, c.want) || (c.want == nil) != (g.Err == nil) {
				t.Errorf("it fails of %v, want %v", g.Err, c.want)
			}
			order, wanted := g.Order()
			if missing := g.Members.Missing(order, wanted); len(g.Members.Unread) > 0 || !slices.Contains(missing, "app-2") {
				t.Errorf("missing are %q, unread %v", missing, g.Members.Unread)
			}
		})
	}
}
