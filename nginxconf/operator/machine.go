package operator

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// What of this machine an answer depends on: which addresses and names are its own, and which names lead to one file.

// machine is what this machine is called: its addresses and names, in lower case.
type machine map[string]bool

// thisMachine looks for the names in hosts(5) only: whom to ask for others, and whether they answer, must not hold
// up a closing.
func thisMachine() machine {
	m := machine{"localhost": true}
	if name, err := os.Hostname(); err == nil {
		m[strings.ToLower(name)] = true
	}
	addrs, _ := net.InterfaceAddrs() // without them those are left that stand for loopback
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			m[p.Addr().Unmap().String()] = true
		}
	}
	hosts, _ := os.ReadFile("/etc/hosts")
	for line := range strings.Lines(string(hosts)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if ip, err := netip.ParseAddr(fields[0]); err == nil && (ip.IsLoopback() || m[ip.Unmap().String()]) {
			for _, name := range fields[1:] {
				m[strings.ToLower(name)] = true
			}
		}
	}
	return m
}

// shortLoopback are spellings like 127.1 (inet_aton(3)).
var shortLoopback = regexp.MustCompile(`^127[.0-9]*$`)

// canonical makes spellings of one address equal: this machine's are its loopback address.
func (m machine) canonical(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	host = strings.ToLower(host)
	ip, err := netip.ParseAddr(host)
	if err == nil {
		ip = ip.Unmap()
		host = ip.String()
	}
	if m[host] || err == nil && (ip.IsUnspecified() || ip.IsLoopback()) || shortLoopback.MatchString(host) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// sameFile reports whether both names lead to one file, by way of symbolic links too.
func sameFile(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	// One look at each tells most apart; following the links takes one for each part of the names. Two names of one
	// file without links are two files once one of them is replaced.
	i, err := os.Stat(a)
	if err != nil {
		return false
	}
	j, err := os.Stat(b)
	if err != nil || !os.SameFile(i, j) {
		return false
	}
	x, err := filepath.EvalSymlinks(a)
	if err != nil {
		return false
	}
	y, err := filepath.EvalSymlinks(b)
	return err == nil && x == y
}
