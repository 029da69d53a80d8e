package maintenance

import (
	"context"
	"path"
	"testing"

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
