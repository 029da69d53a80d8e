//go:build linux

package barrier

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

func addrs(s ...string) (out []netip.Addr) {
	for _, one := range s {
		out = append(out, netip.MustParseAddr(one))
	}
	return out
}

// TestAddresses spells upstreams in every way that nginx takes.
func TestAddresses(t *testing.T) {
	names := map[string][]netip.Addr{
		"app.internal":  addrs("10.0.0.5", "10.0.0.6", "fd00::5", "10.0.0.5"),
		"here.internal": addrs("127.0.0.1"),
		"mapped":        addrs("::ffff:10.0.0.7"),
	}
	r := Resolver{Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
		if host == "broken" {
			return nil, errors.New("the name server is down")
		}
		return names[host], nil
	}}
	for given, want := range map[string]string{
		"127.0.0.1:8000":          "127.0.0.1:8000 [::1]:8000",
		"[::1]:8000":              "[::1]:8000 127.0.0.1:8000",
		"[::ffff:127.0.0.1]:8000": "127.0.0.1:8000 [::1]:8000",
		"localhost:8000":          "127.0.0.1:8000 [::1]:8000",
		"LocalHost.:8000":         "127.0.0.1:8000 [::1]:8000",
		"0.0.0.0:8000":            "127.0.0.1:8000 [::1]:8000",
		"[::]:8000":               "127.0.0.1:8000 [::1]:8000",
		"0x7f000001:8000":         "127.0.0.1:8000 [::1]:8000",
		"0X7F.1:8000":             "127.0.0.1:8000 [::1]:8000",
		"2130706433:8000":         "127.0.0.1:8000 [::1]:8000",
		"0177.0.0.01:8000":        "127.0.0.1:8000 [::1]:8000",
		"127.1:8000":              "127.0.0.1:8000 [::1]:8000",
		"0:8000":                  "127.0.0.1:8000 [::1]:8000",
		"127.0.0.2:8000":          "127.0.0.2:8000",
		"10.0.0.9:80":             "10.0.0.9:80",
		"[fe80::1%eth0]:80":       "[fe80::1]:80",
		"app.internal:8000":       "10.0.0.5:8000 10.0.0.6:8000 [fd00::5]:8000",
		"here.internal:8000":      "127.0.0.1:8000 [::1]:8000",
		"mapped:8000":             "10.0.0.7:8000",
	} {
		got, err := r.addresses(t.Context(), given)
		var said []string
		for _, a := range got {
			said = append(said, a.String())
		}
		if err != nil || strings.Join(said, " ") != want {
			t.Errorf("%s is %v (%v), not %s", given, got, err, want)
		}
	}
	for given, want := range map[string]error{
		"unix:/run/app.sock": ErrUnixSocket, "unix:app.sock": ErrUnixSocket,
		"broken:8000": ErrNoAddress, "unknown:8000": ErrNoAddress, "127.0.0.1": ErrNoAddress, "127.0.0.1:0": ErrNoAddress,
		"127.0.0.1:http": ErrNoAddress, "127.0.0.1:65536": ErrNoAddress, "1.2.3.4.5:80": ErrNoAddress, "256.1.1.1:80": ErrNoAddress, "": ErrNoAddress,
	} {
		if got, err := r.addresses(t.Context(), given); !errors.Is(err, want) || !strings.HasPrefix(err.Error(), given) {
			t.Errorf("%s is %v: %v", given, got, err)
		}
	}
}

// TestAnywhere says where a port is meant at any address, by who listens.
func TestAnywhere(t *testing.T) {
	for _, c := range []struct {
		at, listening string
		want          bool
	}{
		{"127.0.0.1:8000", "", true}, // it isn't known
		{"127.0.0.1:8000", "0.0.0.0:9000 127.0.0.1:9000", true},
		{"127.0.0.1:8000", "0.0.0.0:8000", true},
		{"127.0.0.1:8000", "[::]:8000", true},
		{"[::1]:8000", "[::]:8000", true},
		{"127.0.0.1:8000", "127.0.0.1:8000", false},
		{"127.0.0.1:8000", "10.0.0.1:8000 127.0.0.1:8000", false},
		{"127.0.0.1:8000", "10.0.0.1:8000", false},                  // another one's
		{"127.0.0.1:8000", "127.0.0.1:8000 [::]:8000", false},       // IPv6 only
		{"[::1]:8000", "0.0.0.0:8000 10.0.0.1:8000", false},         // another one's
		{"[::1]:8000", "0.0.0.0:8000", true},                        // nobody's: so be it
		{"10.0.0.1:8000", "0.0.0.0:8000 192.168.0.1:8000", true},    // SO_REUSEPORT
		{"10.0.0.1:8000", "192.168.0.1:8000 127.0.0.1:8000", false}, // others'
	} {
		var listeners []workers.Listener
		for l := range strings.FieldsSeq(c.listening) {
			listeners = append(listeners, workers.Listener{Addr: netip.MustParseAddrPort(l)})
		}
		if got := anywhere(netip.MustParseAddrPort(c.at), listeners); got != c.want {
			t.Errorf("%s with %q listening: %v", c.at, c.listening, got)
		}
	}
}

// TestFollow follows published ports there and back.
func TestFollow(t *testing.T) {
	ports := []published{
		{netip.AddrPortFrom(netip.Addr{}, 8000), netip.MustParseAddrPort("172.18.0.2:3000")},
		{netip.AddrPortFrom(netip.Addr{}, 9999), netip.MustParseAddrPort("172.18.0.2:3000")},
		{netip.MustParseAddrPort("10.0.0.1:7000"), netip.MustParseAddrPort("172.18.0.2:3000")},
		{netip.AddrPortFrom(netip.Addr{}, 8001), netip.MustParseAddrPort("172.18.0.3:3000")},
	}
	way := func(a netip.Addr) (way, error) { return way{iface: "br-app"}, nil }
	container := End{Addr: netip.MustParseAddrPort("172.18.0.2:3000"), Inside: "br-app"}
	second := End{Addr: netip.MustParseAddrPort("127.0.0.1:9999"), Local: true, Anywhere: true, Inside: "br-app"}
	third := End{Addr: netip.MustParseAddrPort("10.0.0.1:7000"), Local: true, Inside: "br-app"}
	first := End{Addr: netip.MustParseAddrPort("127.0.0.1:8000"), Local: true, Anywhere: true, Inside: "br-app"}
	for name, c := range map[string]struct{ given, want []End }{
		"from a port":      {[]End{{Addr: first.Addr, Local: true}}, []End{first, container, second, third}},
		"from a container": {[]End{container}, []End{container, first, second, third}},
		"from an address":  {[]End{{Addr: third.Addr, Local: true}}, []End{third, container, first, second}},
		"nothing there":    {[]End{{Addr: netip.MustParseAddrPort("127.0.0.1:1"), Local: true}}, []End{{Addr: netip.MustParseAddrPort("127.0.0.1:1"), Local: true}}},
	} {
		got := slices.Clone(c.given)
		if err := follow(&got, ports, way); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v (%v), not %+v", name, got, err, c.want)
		}
	}
}

// TestLookupInContainer asks for names as a process does that has files and name servers of its own.
func TestLookupInContainer(t *testing.T) {
	needUsers(t)
	h := newHost(t)
	var server net.PacketConn
	h.must(h.do(func() (err error) {
		server, err = net.ListenPacket("udp4", "127.0.0.11:53")
		return err
	}))
	defer server.Close()
	go answer(server, map[string][]netip.Addr{"app.net.internal.": addrs("172.18.0.2", "fd18::2"), "other.example.": addrs("10.0.0.1")})
	dir := t.TempDir()
	h.must(os.MkdirAll(filepath.Join(dir, "etc"), 0o755))
	h.must(os.WriteFile(filepath.Join(dir, "etc/hosts"), []byte("127.0.0.1 localhost\n10.9.9.9 written # not this\n"), 0o644))
	h.must(os.WriteFile(filepath.Join(dir, "etc/resolv.conf"), []byte("search net.internal\nnameserver 127.0.0.11\noptions ndots:0\n"), 0o644))
	cmd := exec.Command("/proc/self/exe")
	cmd.Args, cmd.Env = []string{masterTitle}, []string{inRoot + "=" + dir}
	container := workers.Of(h.run(cmd, "-").Process.Pid)
	for host, want := range map[string][]netip.Addr{
		"app": addrs("172.18.0.2", "fd18::2"), "APP.net.internal.": addrs("172.18.0.2", "fd18::2"),
		"written": addrs("10.9.9.9"), "other.example": addrs("10.0.0.1"), "not": nil, "no.such": nil,
	} {
		got, err := Lookup(t.Context(), container, host)
		if !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%s is %v: %v", host, got, err)
		}
	}
	found, err := (Resolver{Network: container}).Resolve(t.Context(), []string{"app:3000", "no.such:80"})
	h.must(err)
	if len(found[0].Ends) != 2 || !errors.Is(found[1].Err, ErrNoAddress) {
		t.Errorf("found %+v", found)
	}
	// A link that leads out of the container isn't followed.
	h.must(os.Remove(filepath.Join(dir, "etc/hosts")))
	h.must(os.Symlink("/etc/hosts", filepath.Join(dir, "etc/hosts")))
	if got, err := Lookup(t.Context(), container, "written"); err == nil {
		t.Errorf("found %v by a link", got)
	}
}

// answer is a name server.
func answer(c net.PacketConn, known map[string][]netip.Addr) {
	buf := make([]byte, 1500)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:n]) != nil {
			continue
		}
		m.Response = true
		q := m.Questions[0]
		name := strings.ToLower(q.Name.String())
		if known[name] == nil {
			m.RCode = dnsmessage.RCodeNameError
		}
		for _, a := range known[name] {
			h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
			switch {
			case a.Is4() && q.Type == dnsmessage.TypeA:
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
			case a.Is6() && q.Type == dnsmessage.TypeAAAA:
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
			}
		}
		if b, err := m.Pack(); err == nil {
			_, _ = c.WriteTo(b, from)
		}
	}
}

// TestProxied reads the command line of Docker's proxy.
func TestProxied(t *testing.T) {
	const docker = "/usr/bin/docker-proxy -proto tcp "
	for line, want := range map[string]published{
		docker + "-host-ip 0.0.0.0 -host-port 8000 -container-ip 172.18.0.2 -container-port 3000": {
			netip.AddrPortFrom(netip.Addr{}, 8000), netip.MustParseAddrPort("172.18.0.2:3000")},
		docker + "-host-ip :: -host-port 8000 -container-ip 172.18.0.2 -container-port 3000 -use-listen-fd": {
			netip.AddrPortFrom(netip.Addr{}, 8000), netip.MustParseAddrPort("172.18.0.2:3000")},
		docker + "-host-ip 127.0.0.1 -host-port 8000 -container-ip fd00::2 -container-port 3000": {
			netip.MustParseAddrPort("127.0.0.1:8000"), netip.MustParseAddrPort("[fd00::2]:3000")},
		"/usr/bin/docker-proxy -proto udp -host-ip 0.0.0.0 -host-port 53 -container-ip 172.18.0.2 -container-port 53": {},
		docker + "-host-ip 0.0.0.0 -host-port 99999 -container-ip 172.18.0.2 -container-port 3000":                    {},
		docker + "-host-ip 0.0.0.0 -host-port 8000 -container-ip 0.0.0.0 -container-port 3000":                        {},
		"docker-proxy": {}, "docker-proxy -host-ip": {},
	} {
		if got, is := proxied(strings.Fields(line)); is != (want != published{}) || is && got != want {
			t.Errorf("%s: %v %v", line, got, is)
		}
	}
}
