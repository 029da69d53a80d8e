package barrier

import "github.com/msupply-foundation/conforma-status/nginxconf/workers"

// User is the user of a worker of nginx.
type User struct {
	ID    uint32 // as the network namespace of nginx counts, where that belongs to another user namespace (user_namespaces(7))
	Here  uint32 // as this process counts
	Group uint32 // the worker's group, as this process counts
}

// IDs are the users as Rules wants them.
func IDs(users []User) []uint32 {
	var out []uint32
	for _, u := range users {
		out = append(out, u.ID)
	}
	return out
}

// Upstream is what an upstream of a site comes to.
type Upstream struct {
	Given string // as Resolve was given it
	Ends  []End  // empty where Err is set
	// Err is why there is nothing that the kernel can close: it wraps ErrUnixSocket or ErrNoAddress. Else it is nil.
	Err error
}

// Traffic is how many connections were tried to the upstreams of a site, by their first packets: a client that isn't
// answered at once sends several. It counts from when the site came into the table, or the table had to be replaced.
type Traffic struct {
	Tried   uint64 // in all
	Refused uint64 // of those
}

func (t Traffic) plus(o Traffic) Traffic { return Traffic{t.Tried + o.Tried, t.Refused + o.Refused} }

// Passed is how many weren't refused.
func (t Traffic) Passed() uint64 {
	if t.Refused > t.Tried { // refused only after its address was translated
		return 0
	}
	return t.Tried - t.Refused
}

// Found is what the rules of a configuration are made of.
type Found struct {
	Users  []User // of nginx's workers
	Exempt []Cgroup
	Sites  map[string]Place // by name
}

// Place is where the upstreams of a site are reached.
type Place struct {
	Ends []End // empty where Err is set
	// Around and Ways are those of Site.
	Around []End
	Ways   []string
	// Err is why some of it can't be closed in the kernel: it wraps ErrUnixSocket or ErrNoAddress. Else it is nil.
	Err error
}

// Seen is what the kernel has of a table, beside the rules that it is to follow.
type Seen struct {
	There bool // whether there is a table at all
	// Differs says in words how it differs from the rules, "" where it doesn't.
	Differs string
	// Less is whether a connection that the rules refuse may have passed.
	Less           bool
	Nginx, Outside map[string]Traffic // of each site of the rules, by name
}

// Barrier is the kernel barrier of one configuration: a table in the network namespace of its nginx and, where that
// isn't the one of this process, another one here. The methods take the process id of nginx's master: 0, where none
// runs, stands for the namespace of this process.
type Barrier struct {
	StateDir string // of the configuration
	Sockets  workers.Sockets
}
