package barrier

import (
	"testing"
)

// TestNginxIsRefused goes to an application by every address that it can be reached at.
func TestNginxIsRefused(t *testing.T) {
	needUsers(t)
	for _, c := range []struct {
		listen   []string
		upstream []string // spellings of the same
		tries    []string
	}{
		{
			[]string{"127.0.0.1:8000", "[::1]:8000"},
			[]string{"127.0.0.1:8000", "[::1]:8000", "localhost:8000", "0.0.0.0:8000", "[::]:8000", "0x7f000001:8000", "2130706433:8000", "0177.1:8000", "[::ffff:127.0.0.1]:8000"},
			[]string{"127.0.0.1:8000", "[::1]:8000", "[::ffff:127.0.0.1]:8000", "0.0.0.0:8000"},
		},
		{
			[]string{"0.0.0.0:8000"},
			[]string{"127.0.0.1:8000", "10.7.0.1:8000", "localhost:8000"},
			[]string{"127.0.0.1:8000", "127.0.0.3:8000", "10.7.0.1:8000", "0.0.0.0:8000", "[::ffff:127.0.0.3]:8000"},
		},
		{
			[]string{"[::]:8000"},
			[]string{"127.0.0.1:8000", "[::1]:8000", "[fd07::1]:8000"},
			[]string{"127.0.0.1:8000", "127.0.0.3:8000", "10.7.0.1:8000", "[::1]:8000", "[fd07::1]:8000"},
		},
	} {
		for _, upstream := range c.upstream {
			t.Run(c.listen[0]+" as "+upstream, func(t *testing.T) {
				h := newHost(t)
				h.ip("addr add 10.7.0.1/24 dev lo", "addr add fd07::1/64 dev lo nodad")
				for _, l := range c.listen {
					h.listen(l)
				}
				neighbour := h.listen("127.0.0.1:8001")
				r := h.closed(upstream)
				r.Sites[0].Nginx = Count
				h.load(r)
				for _, try := range c.tries {
					h.passes(www, try)
				}
				if got := h.read().Nginx(r.Sites[0]); got != (Traffic{Tried: uint64(len(c.tries))}) {
					t.Errorf("counted %+v, not %d", got, len(c.tries))
				}
				r.Sites[0].Nginx = Refuse
				h.load(r)
				for _, try := range c.tries {
					h.refused(www, try)
					h.refused(nobody, try)
					h.passes(root, try)
					h.passes(other, try)
				}
				h.passes(www, "127.0.0.1:8001")
				if n := uint64(len(c.tries)); h.read().Nginx(r.Sites[0]) != (Traffic{Tried: 3 * n, Refused: 2 * n}) {
					t.Errorf("counted %+v with %d refused", h.read().Nginx(r.Sites[0]), 2*n)
				}
				if err := h.table().Prove(t.Context(), r, []User{{ID: www, Here: www, Group: www}, {ID: nobody, Here: nobody}}); err != nil {
					t.Error(err)
				}
				if n := uint64(len(c.tries)); h.read().Nginx(r.Sites[0]) != (Traffic{Tried: 3 * n, Refused: 2 * n}) {
					t.Errorf("after the proof %+v with %d refused", h.read().Nginx(r.Sites[0]), 2*n)
				}
				if err := h.table().Remove(t.Context()); err != nil {
					t.Error(err)
				}
				for _, try := range c.tries {
					h.passes(www, try)
				}
				if got := neighbour.got.Load(); got != 1 {
					t.Errorf("the neighbour got %d connections", got)
				}
			})
		}
	}
}
