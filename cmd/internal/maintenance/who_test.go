package maintenance

import (
	"context"
	"path"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/status"
)

// TestHistoryOfOrders: the history says who has given each order. A store that hangs holds it up for one site, not for
// each.
func TestHistoryOfOrders(t *testing.T) {
	for name, c := range map[string]struct {
		hangs bool
		asked int
		by    string
	}{
		"answered": {false, 2, "bob on app-2"},
		"hanging":  {true, 1, "ann"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.another(t)
			asked := 0
			var orders []following
			for _, s := range w.Config.Sites {
				d := status.Document{
					Version: status.Version, Site: s.Name, Mode: status.Offline, Wanted: status.Offline, Order: 1, Seq: 1, Since: w.now, UpdatedAt: w.now,
					AppURL: s.AppURL, PageURL: s.PageURL,
				}
				w.docs[path.Join(s.Path, status.FileName)] = d.Marshal()
				orders = append(orders, following{Site: s, Document: d, Who: func(context.Context) (by, reason string) {
					asked++
					if c.hangs {
						w.now = w.now.Add(whoBound)
						return "", ""
					}
					return c.by, "the snapshot"
				}})
			}
			w.applyOrders(t.Context(), status.Offline, orders, 0)
			events, _, err := state.Dir(w.Config.StateDir).History()
			if err != nil || asked != c.asked || len(events) != 2 || events[0].Operator != c.by || events[1].Operator != c.by {
				t.Errorf("%d asked, history %+v, %v; want %d asked, by %s", asked, events, err, c.asked, c.by)
			}
		})
	}
}

// TestHistoryOfAClosing: the history counts a closing from when nginx was shut. The grace is part of it, and so is
// admin mode.
func TestHistoryOfAClosing(t *testing.T) {
	w := newWorld(t)
	w.Config.Sites[0].Grace = 5 * time.Second
	shut := *w.set(t, status.Offline).ClosedAt
	if w.now.Before(shut.Add(5 * time.Second)) {
		t.Fatalf("it is shut at %v, and the closing is over at %v: it proves nothing", shut, w.now)
	}
	w.set(t, status.Admin)
	w.set(t, status.Online)
	events, _, err := w.Dir().History()
	if err != nil || len(events) != 3 || events[1].ClosedAt == nil || !events[1].ClosedAt.Equal(shut) || events[2].ClosedAt != nil {
		t.Fatalf("the history has %+v, %v, want that it was shut at %v", events, err, shut)
	}
	if ws := state.Windows(events); len(ws) != 1 || !ws[0].From.Equal(shut) {
		t.Errorf("it was closed in %+v, want from %v", ws, shut)
	}
}
