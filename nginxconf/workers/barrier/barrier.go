// Package barrier keeps nginx's workers, and whoever comes from outside this machine, from opening a connection to
// the upstreams of closed sites. The kernel does it, by a table of its packet filter (nft(8)): what nginx's
// configuration says doesn't matter.
//
// A connection that is there already is not touched, and neither is any other program of this machine: the rules look
// at the first packet of a connection, and at the user id of whoever opened the socket.
package barrier

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Errors that say what is missing. They are returned wrapped: test with errors.Is.
var (
	// ErrNotAllowed is returned where the kernel lets only others change its packet filter, or look at it.
	ErrNotAllowed = errors.New("the kernel doesn't allow it: CAP_NET_ADMIN in nginx's network namespace is needed")
	// ErrNoNftables is returned where the kernel has no nf_tables.
	ErrNoNftables = errors.New("the kernel has no nf_tables")
	// ErrTooOld is returned where the kernel's nf_tables lacks something that the table is made of: 5.9 is the first
	// that has it all, 5.13 where a cgroup is exempt.
	ErrTooOld = errors.New("the kernel's nf_tables lacks something: Linux 5.9 is needed")
	// ErrNotOurs is returned where there is a table of that name that another program made, or owns.
	ErrNotOurs = errors.New("a table of that name is somebody else's")
	// ErrNotProven is returned by Prove where a connection wasn't refused, or it wasn't the table that refused it.
	ErrNotProven = errors.New("the kernel barrier is not proven")
	// ErrUnixSocket is returned for an upstream that is a unix socket, which no packet filter sees.
	ErrUnixSocket = errors.New("a unix socket can't be closed in the kernel")
	// ErrNoAddress is returned for an upstream whose name doesn't resolve, or that isn't host:port.
	ErrNoAddress = errors.New("has no address")
	// ErrUserNamespace is returned where the network namespace counts its users by a map that can't be followed.
	ErrUserNamespace = errors.New("the users of nginx's network namespace can't be told")
)

// SharedError says that two sites have an upstream in common and are to be treated differently, which no table can
// do.
type SharedError struct {
	A, B string // names of sites
	At   End    // where
}

func (e *SharedError) Error() string {
	return fmt.Sprintf("%s and %s share the upstream %v", e.A, e.B, e.At.Addr)
}

// Verdict is what becomes of a new connection to an upstream.
type Verdict uint8

// The verdicts. The zero one is Leave.
const (
	Leave  Verdict = iota // it passes
	Count                 // it passes and is counted
	Refuse                // it is counted and answered by a reset, so that whoever connects knows at once
)

func (v Verdict) String() string { return [...]string{"leave", "count", "refuse"}[v] }

// Rules are what a table does, for all sites of a configuration. The zero value refuses nobody.
type Rules struct {
	Users  []uint32 // user ids of nginx's workers, as the network namespace counts them: User.ID
	Exempt []Cgroup // whose processes aren't meant, although they have the user id of a worker
	// Sites are in any order. Those that are open are among them too, so that it is found out what they share with
	// others.
	Sites []Site
}

// Site is what a table does for one site.
type Site struct {
	Name    string
	Nginx   Verdict // for connections that nginx's workers open
	Outside Verdict // for those from outside this machine; containers are outside, but for the upstream's own network
	Ends    []End   // where its upstreams are; Resolve finds them
	// Around is where nginx has a network namespace of its own: Ends as this process's namespace has them. There the
	// site is kept from those outside by a table of its own.
	Around []End `json:",omitempty"`
	// Ways are the network interfaces there that lead to nginx. Unless it is refused, who comes by one isn't outside.
	Ways []string `json:",omitempty"`
}

// IsLeft reports whether the table has nothing of the site.
func (s Site) IsLeft() bool { return s.Nginx == Leave && s.Outside == Leave }

// Around returns the rules for this process's network namespace where nginx has another: none is for nginx, whose
// users mean nothing there.
func (r Rules) Around() Rules {
	var out Rules
	for _, s := range r.Sites {
		ends := s.Around
		if s.Nginx < Refuse {
			for _, way := range s.Ways {
				for _, e := range s.Around {
					e.Inside = way
					ends = append(slices.Clip(ends), e)
				}
			}
		}
		if len(ends) > 0 {
			out.Sites = append(out.Sites, Site{Name: s.Name, Outside: s.Outside, Ends: ends})
		}
	}
	return out
}

// End is where an upstream is reached.
type End struct {
	Addr netip.AddrPort // not a mapped one (::ffff:127.0.0.1): IPv4 is IPv4
	// Local is whether the address is one of this machine's.
	Local bool
	// Anywhere is whether the port is meant at any address of this machine, as where an application listens on
	// 0.0.0.0. It goes with Local.
	Anywhere bool
	// Inside is the network interface whose other side isn't outside: the bridge that the upstream's container is on.
	// "" where there is none.
	Inside string
}

// overlaps reports whether a connection may be to both.
func (e End) overlaps(o End) bool {
	return e.Addr == o.Addr || e.Addr.Port() == o.Addr.Port() && e.Local && o.Local && (e.Anywhere || o.Anywhere)
}

// shared returns the first end of s that is one of o's too, and whether there is one: what the table does for the one
// it does for the other.
func (s Site) shared(o Site) (End, bool) {
	for _, of := range [][2][]End{{s.Ends, o.Ends}, {s.Around, o.Around}} {
		for _, a := range of[0] {
			if slices.ContainsFunc(of[1], a.overlaps) {
				return a, true
			}
		}
	}
	return End{}, false
}

// Check returns a *SharedError where two sites that are treated differently share an upstream.
func (r Rules) Check() error {
	for i := range r.Sites {
		a := &r.Sites[i] // there are hundreds: they are not copied
		for j := range i {
			b := &r.Sites[j]
			if a.Nginx == b.Nginx && a.Outside == b.Outside {
				continue
			}
			if at, shared := b.shared(*a); shared {
				return &SharedError{A: b.Name, B: a.Name, At: at}
			}
		}
	}
	return nil
}

// Cgroup is a control group of cgroups(7), version 2. A group that is made anew at the same path is another one.
type Cgroup struct {
	Path  string // below the mount point, "/system.slice/app.service"
	ID    uint64 // as the kernel counts: the inode of its directory
	Level uint32 // how deep it is, 1 below the root
}
