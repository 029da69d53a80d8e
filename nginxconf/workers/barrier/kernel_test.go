//go:build linux

package barrier

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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

// TestRootWorkers has nginx's workers run as root, as anyone may try in a user namespace.
func TestRootWorkers(t *testing.T) {
	h := newHost(t)
	a := h.listen("0.0.0.0:8000")
	r := h.closed("127.0.0.1:8000")
	rooted := []User{{root, root, 0}}
	r.Users, r.Sites[0].Nginx = IDs(rooted), Count
	h.must(h.table().Probe(t.Context(), r))
	if h.read().There {
		t.Error("to try whether it can be had left a table")
	}
	h.load(r)
	h.passes(root, "127.0.0.3:8000")
	if err := h.table().Prove(t.Context(), Rules{Users: r.Users, Sites: []Site{{Nginx: Refuse, Ends: r.Sites[0].Ends}}}, rooted); !errors.Is(err, ErrNotProven) {
		t.Errorf("proven: %v", err)
	}
	r.Sites[0].Nginx = Refuse
	h.load(r)
	h.must(h.table().Prove(t.Context(), r, rooted))
	got := a.got.Load()
	h.refused(root, "127.0.0.1:8000")
	h.refused(root, "127.0.0.3:8000")
	if a.got.Load() != got {
		t.Error("root got through")
	}
	if got := h.read().Nginx(r.Sites[0]); got.Refused != 2 || got.Passed() < 1 {
		t.Errorf("counted %+v", got)
	}
	removed, err := RemoveAll(t.Context(), h.Network)
	if h.must(err); len(removed) != 1 || removed[0] != Name("/var/lib/conforma-status") || h.read().There {
		t.Errorf("removed %q", removed)
	}
	h.passes(root, "127.0.0.1:8000")
}

// TestManySites loads more ends than one message of netlink has room for.
func TestManySites(t *testing.T) {
	h := newHost(t)
	r := manySites(1500)
	h.load(r)
	for i := range r.Sites {
		r.Sites[i].Nginx = Count
	}
	h.load(r)
	r.Sites = r.Sites[:1]
	h.load(r)
}

func manySites(n int) Rules {
	r := Rules{Users: []uint32{root}}
	for i := range n {
		port := uint16(10000 + i)
		r.Sites = append(r.Sites, Site{Name: fmt.Sprint("site", i), Nginx: Refuse, Outside: Refuse, Ends: []End{
			{Addr: netip.AddrPortFrom(loopback4, port), Local: true, Anywhere: true},
			{Addr: netip.AddrPortFrom(loopback6, port), Local: true, Anywhere: true},
			{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{172, 18, byte(i >> 8), byte(i)}), 3000)},
		}})
	}
	return r
}

// BenchmarkTable measures what the barrier adds to a change of one site, beside others that are closed.
func BenchmarkTable(b *testing.B) {
	for _, n := range []int{1, 20, 300} {
		h := newHost(b)
		r, rooted := manySites(n), []User{{root, root, 0}}
		counts := Rules{Users: r.Users, Sites: append([]Site{r.Sites[0]}, r.Sites[1:]...)}
		counts.Sites[0].Nginx = Count
		one := Rules{Users: r.Users, Sites: r.Sites[:1]}
		load := func(b *testing.B, r Rules) {
			if err := h.table().Load(b.Context(), r); err != nil {
				b.Fatal(err)
			}
		}
		for _, step := range []struct {
			name string
			do   func(b *testing.B)
		}{
			{"load", func(b *testing.B) {
				b.StopTimer()
				h.must(h.table().Remove(b.Context()))
				b.StartTimer()
				load(b, counts)
			}},
			{"refuse", func(b *testing.B) {
				b.StopTimer()
				load(b, counts)
				b.StartTimer()
				load(b, r)
			}},
			{"prove", func(b *testing.B) { h.must(h.table().Prove(b.Context(), one, rooted)) }},
			{"read", func(*testing.B) { h.read() }},
			{"probe", func(b *testing.B) { h.must(h.table().Probe(b.Context(), one)) }},
		} {
			b.Run(fmt.Sprintf("%s/%d", step.name, n), func(b *testing.B) {
				load(b, r)
				before := used()
				for b.Loop() {
					step.do(b)
				}
				b.ReportMetric(float64((used()-before).Microseconds())/float64(b.N), "cpu-us/op")
			})
		}
	}
}

// TestWhatIsMissing says what is missing by what the kernel answers, also on machines that this one isn't.
func TestWhatIsMissing(t *testing.T) {
	for _, c := range []struct{ answers, want error }{
		{unix.EPERM, ErrNotAllowed}, {unix.EACCES, ErrNotAllowed},
		{unix.EINVAL, ErrNoNftables}, {unix.EPROTONOSUPPORT, ErrNoNftables}, {unix.EAFNOSUPPORT, ErrNoNftables},
		{unix.ENOBUFS, unix.ENOBUFS},
	} {
		if err := explained(os.NewSyscallError("netlink", c.answers)); !errors.Is(err, c.want) || !errors.Is(err, c.answers) {
			t.Errorf("%v is taken for %v", c.answers, err)
		}
	}
}

// used is the processor time that this process has used.
func used() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
