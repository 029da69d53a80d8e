//go:build linux

package barrier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// Lookup returns the addresses of a host's name as the process finds them that n is the namespace of. In a container
// it has hosts and name servers of its own: hosts(5) and resolv.conf(5) there are read, and the servers are asked
// from there.
func Lookup(ctx context.Context, n workers.Network, host string) ([]netip.Addr, error) {
	at, err := files(n)
	if err != nil {
		return nil, err
	}
	if at == nil {
		return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	}
	defer at.Close()
	hosts, err := readIn(at, "etc/hosts")
	if err != nil {
		return nil, err
	}
	if addrs := inHosts(hosts, host); len(addrs) > 0 {
		return addrs, nil
	}
	conf, err := readIn(at, "etc/resolv.conf")
	if err != nil {
		return nil, err
	}
	return ask(ctx, n, readResolvConf(conf), host)
}

// files is the root directory of the process, nil where it and the network are those of this process.
func files(n workers.Network) (*os.Root, error) {
	ours, err := n.IsOurs()
	if err != nil || n.IsZero() {
		return nil, err
	}
	here, err := os.Stat("/")
	if err != nil {
		return nil, err
	}
	there, err := os.Stat(rootOf(n))
	if err != nil || ours && os.SameFile(here, there) {
		return nil, err
	}
	return os.OpenRoot(rootOf(n))
}

func rootOf(n workers.Network) string { return "/proc/" + strconv.Itoa(n.Process()) + "/root" }

// readIn reads a file of a container, which may be anything: it is not followed out of there, and not waited for. One
// that isn't there is empty.
func readIn(root *os.Root, name string) (string, error) {
	const most = 1 << 20
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most))
	return string(data), err
}

// inHosts finds the addresses of a host in hosts(5).
func inHosts(text, host string) []netip.Addr {
	var out []netip.Addr
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) < 2 || !slices.ContainsFunc(words[1:], func(w string) bool { return strings.EqualFold(w, strings.TrimSuffix(host, ".")) }) {
			continue
		}
		if a, err := netip.ParseAddr(words[0]); err == nil {
			out = append(out, a)
		}
	}
	return out
}

// resolvConf is what resolv.conf(5) says.
type resolvConf struct {
	servers []netip.Addr
	search  []string
	ndots   int
}

func readResolvConf(text string) resolvConf {
	c := resolvConf{ndots: 1}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "nameserver":
			if a, err := netip.ParseAddr(words[1]); err == nil {
				c.servers = append(c.servers, a)
			}
		case "domain", "search":
			c.search = words[1:]
		case "options":
			for _, o := range words[1:] {
				if n, is := strings.CutPrefix(o, "ndots:"); is {
					if n, err := strconv.ParseUint(n, 10, 4); err == nil {
						c.ndots = int(n)
					}
				}
			}
		}
	}
	if len(c.servers) == 0 {
		c.servers = []netip.Addr{loopback4}
	}
	return c
}

// names are those to ask for, in order, with a dot at the end.
func (c resolvConf) names(host string) []string {
	if strings.HasSuffix(host, ".") {
		return []string{host}
	}
	out := []string{host + "."}
	for _, s := range c.search {
		out = append(out, host+"."+strings.TrimSuffix(s, ".")+".")
	}
	if strings.Count(host, ".") < c.ndots {
		out = append(out[1:], out[0])
	}
	return out
}

// answerWithin is how long a name server may take, as resolv.conf(5) has it.
const answerWithin = 5 * time.Second

// ask asks the name servers for the addresses of a host, until one knows any.
func ask(ctx context.Context, n workers.Network, c resolvConf, host string) ([]netip.Addr, error) {
	var failed []error
	for _, name := range c.names(host) {
		for _, server := range c.servers {
			var addrs []netip.Addr
			err := n.Within(ctx, func() {}, func() error {
				for _, kind := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA} {
					more, err := query(ctx, netip.AddrPortFrom(server, 53), name, kind)
					if err != nil {
						return err
					}
					addrs = append(addrs, more...)
				}
				return nil
			})
			if err == nil && len(addrs) > 0 {
				return addrs, nil
			}
			if err != nil {
				failed = append(failed, err)
			}
		}
	}
	return nil, errors.Join(append([]error{fmt.Errorf("no name server there knows %s", host)}, failed...)...)
}

// query asks one name server, from this thread's namespace: RFC 1035.
func query(ctx context.Context, server netip.AddrPort, name string, kind dnsmessage.Type) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	question, err := dnsmessage.NewName(name)
	if err != nil {
		return nil, err
	}
	const id = 1 // the socket is connected: nobody else is heard
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: question, Type: kind, Class: dnsmessage.ClassINET}},
	}
	asked, err := m.Pack()
	if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "udp", server.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := conn.Write(asked); err != nil {
		return nil, err
	}
	answer := make([]byte, 64<<10)
	size, err := conn.Read(answer)
	if err != nil {
		return nil, errors.Join(err, ctx.Err())
	}
	return readAnswer(answer[:size])
}

// readAnswer reads the addresses in the answer of a name server.
func readAnswer(b []byte) ([]netip.Addr, error) {
	var m dnsmessage.Message
	if err := m.Unpack(b); err != nil {
		return nil, err
	}
	if m.RCode != dnsmessage.RCodeSuccess && m.RCode != dnsmessage.RCodeNameError {
		return nil, fmt.Errorf("the name server says %v", m.RCode)
	}
	var out []netip.Addr
	for _, r := range m.Answers {
		switch body := r.Body.(type) {
		case *dnsmessage.AResource:
			out = append(out, netip.AddrFrom4(body.A))
		case *dnsmessage.AAAAResource:
			out = append(out, netip.AddrFrom16(body.AAAA))
		}
	}
	return out, nil
}
