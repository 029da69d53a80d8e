//go:build linux

package barrier

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/nftables/binaryutil"
)

var update = flag.Bool("update", false, "write the golden files anew")

// words are the elements in words, for people and for the golden file.
func (e elements) words() string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(e)) {
		fmt.Fprintf(&out, "%s:\n", name)
		for _, k := range slices.Sorted(maps.Keys(e[name])) {
			if name == usersSet {
				fmt.Fprintf(&out, "  %d\n", binaryutil.NativeEndian.Uint32([]byte(k)))
				continue
			}
			s, said := sets[name], ""
			if s.iface {
				said, k = strings.TrimRight(k[:16], "\x00")+" ", k[16:]
			}
			if n := s.kind.size; n > 0 {
				addr, _ := netip.AddrFromSlice([]byte(k[:n]))
				said, k = said+addr.String()+" ", k[n:]
			}
			fmt.Fprintf(&out, "  %s%d\n", said, binary.BigEndian.Uint16([]byte(k)))
		}
	}
	return out.String()
}

// TestElements writes down what is in the table for sites that are closed, closing, in admin mode and open.
func TestElements(t *testing.T) {
	end := netip.MustParseAddrPort
	r := Rules{
		Users: []uint32{33, 65534, 33},
		Sites: []Site{
			{Name: "closed", Nginx: Refuse, Outside: Refuse, Ends: []End{
				{Addr: end("127.0.0.1:8000"), Local: true, Anywhere: true, Inside: "br-0123456789ab"},
				{Addr: end("[::1]:8000"), Local: true, Anywhere: true},
				{Addr: end("172.18.0.2:3000"), Inside: "br-0123456789ab"},
			}},
			{Name: "closing", Nginx: Count, Outside: Count, Ends: []End{{Addr: end("127.0.0.1:8001"), Local: true}, {Addr: end("[::1]:8001"), Local: true}}},
			{Name: "admin", Nginx: Leave, Outside: Refuse, Ends: []End{{Addr: end("[fd00::2]:3000"), Inside: "br0"}}},
			{Name: "open", Nginx: Leave, Outside: Leave, Ends: []End{{Addr: end("10.0.0.9:80"), Inside: "eth0"}}},
		},
	}
	got := r.elements().words()
	const golden = "testdata/elements.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || got != string(want) {
		t.Errorf("%v\n%s", err, got)
	}
}

// TestShared finds the upstreams that sites share.
func TestShared(t *testing.T) {
	exact := func(a string) End {
		return End{Addr: netip.MustParseAddrPort(a), Local: strings.HasPrefix(a, "127.") || strings.HasPrefix(a, "192.")}
	}
	anywhere := func(a string) End {
		e := exact(a)
		e.Anywhere = true
		return e
	}
	for _, c := range []struct {
		a, b   End
		shared bool
	}{
		{exact("127.0.0.1:8000"), exact("127.0.0.1:8000"), true},
		{exact("127.0.0.1:8000"), exact("127.0.0.1:8001"), false},
		{exact("127.0.0.1:8000"), exact("192.168.0.1:8000"), false},
		{anywhere("127.0.0.1:8000"), exact("192.168.0.1:8000"), true},
		{exact("127.0.0.1:8000"), anywhere("192.168.0.1:8000"), true},
		{anywhere("127.0.0.1:8000"), exact("10.0.0.9:8000"), false},
		{exact("10.0.0.9:8000"), exact("10.0.0.9:8000"), true},
	} {
		a, b := Site{Name: "a", Nginx: Refuse, Ends: []End{exact("10.0.0.1:1"), c.a}}, Site{Name: "b", Ends: []End{c.b}}
		if _, shared := a.shared(b); shared != c.shared {
			t.Errorf("%+v and %+v: %v", c.a, c.b, shared)
		}
		var why *SharedError
		if err := (Rules{Sites: []Site{a, b}}).Check(); errors.As(err, &why) != c.shared {
			t.Errorf("%+v and %+v: %v", c.a, c.b, err)
		} else if c.shared && (why.A != "a" || why.B != "b" || why.At != c.a) {
			t.Errorf("%+v and %+v: %v", c.a, c.b, why)
		}
		b.Nginx = Refuse
		if err := (Rules{Sites: []Site{a, b}}).Check(); err != nil { // closed together
			t.Error(err)
		}
	}
}

// TestName gives each state directory a table of its own, which nft(8) can be told of.
func TestName(t *testing.T) {
	if a, b := Name("/var/lib/conforma-status"), Name("/var/lib/conforma-status/"); a != b || a != "conforma_status_c34a46c5d7af" {
		t.Errorf("%s and %s", a, b)
	}
	if Name("/var/lib/conforma-status") == Name("/var/lib/other") {
		t.Error("two directories have one table")
	}
	long := comment("/" + strings.Repeat("very/", 100) + "long")
	if len(long) > 128 || !strings.HasPrefix(long, commentPrefix) || !strings.HasSuffix(long, "/long") {
		t.Errorf("%d bytes: %s", len(long), long)
	}
}

// TestAround has nginx in a network namespace of its own: this process's has no rules for its users, and whoever
// comes by a way that leads to nginx too is let in only while nginx is.
func TestAround(t *testing.T) {
	app := End{Addr: netip.MustParseAddrPort("172.18.0.2:3000"), Inside: "br-app"}
	published := End{Addr: netip.MustParseAddrPort("127.0.0.1:8000"), Local: true, Anywhere: true, Inside: "br-app"}
	inside := End{Addr: netip.MustParseAddrPort("127.0.0.1:9000"), Local: true}
	site := func(nginx Verdict) Site {
		return Site{Name: "demo", Nginx: nginx, Outside: Refuse, Ends: []End{app}, Around: []End{app, published}, Ways: []string{"br-web"}}
	}
	byNginx := func(e End) End {
		e.Inside = "br-web"
		return e
	}
	for nginx, want := range map[Verdict][]End{
		Refuse: {app, published},
		Leave:  {app, published, byNginx(app), byNginx(published)},
	} {
		r := Rules{Users: []uint32{33}, Sites: []Site{site(nginx), {Name: "itself", Nginx: nginx, Outside: Refuse, Ends: []End{inside}}}}
		got := r.Around()
		if len(got.Users) > 0 || len(got.Sites) != 1 || got.Sites[0].Nginx != Leave || got.Sites[0].Outside != Refuse || !slices.Equal(got.Sites[0].Ends, want) {
			t.Errorf("%v: got %+v, want %v", nginx, got, want)
		}
	}
	other := site(Leave)
	other.Name, other.Ends = "other", []End{inside}
	if at, shared := other.shared(site(Refuse)); !shared || at != app {
		t.Errorf("what two sites share around nginx isn't found: %v", at)
	}
}
