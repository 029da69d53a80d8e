package terminal

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/fleet"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/status"
)

// Fleet is one site on all its hosts.
type Fleet struct {
	Site    string      `json:"site"`
	Order   uint64      `json:"order"`  // 0 where nobody has ordered anything yet
	Wanted  status.Mode `json:"wanted"` // by that order
	Mode    status.Mode `json:"mode"`   // what visitors are told
	Done    bool        `json:"done"`   // every host is where it was ordered to
	Missing []string    `json:"missing"`
	Hosts   []FleetHost `json:"hosts"`

	// Reached is how long after the order each host was seen to be there.
	Reached map[string]time.Duration `json:"-"`
	// Later is whether another order has taken the place of this one.
	Later bool `json:"-"`
	// Err is why the hosts or the switch can't be read, nil where they can. Error is the same in JSON.
	Err   error  `json:"-"`
	Error string `json:"error"`
}

// FleetHost is one host of a fleet.
type FleetHost struct {
	Host    string          `json:"host"`
	Receipt *status.Receipt `json:"receipt"` // null where it can't be read
	Error   string          `json:"error"`   // why not, "" where it can
}

// ofOrders are orders, as they stand.
func ofOrders(orders fleet.Orders) (fs []Fleet) {
	for _, g := range orders {
		f := Fleet{Site: g.Name, Reached: map[string]time.Duration{}, Done: g.Ended == fleet.Done, Later: g.Ended == fleet.Later, Err: g.Err}
		f.Order, f.Wanted = g.Order()
		f.Mode = g.Document().Mode
		for host, at := range g.Reached {
			f.Reached[host] = at.Sub(g.Ordered)
		}
		f.Fill(g.Members)
		fs = append(fs, f)
	}
	return fs
}

// Fill fills in what the hosts say.
func (f *Fleet) Fill(all fleet.Members) {
	f.Hosts, f.Missing = []FleetHost{}, append([]string{}, all.Missing(f.Order, f.Wanted)...)
	if f.Order == 0 { // before the first order each host is as it was
		f.Missing = []string{}
	}
	for _, r := range all.Receipts {
		f.Hosts = append(f.Hosts, FleetHost{Host: r.Host, Receipt: &r})
	}
	for host, err := range all.Unread {
		f.Hosts = append(f.Hosts, FleetHost{Host: host, Error: err.Error()})
		if !slices.Contains(f.Missing, host) {
			f.Missing = append(f.Missing, host)
		}
	}
	slices.SortFunc(f.Hosts, func(a, b FleetHost) int { return strings.Compare(a.Host, b.Host) })
}

// says is how far a host has got.
func (f Fleet) says(h FleetHost) string {
	r := h.Receipt
	switch {
	case r == nil:
		return "not understood: " + oneLine(h.Error)
	case r.Order < f.Order:
		return "not heard since " + clock(r.UpdatedAt)
	case !slices.Contains(f.Missing, h.Host):
		text := string(r.Outcome)
		if took, is := f.Reached[h.Host]; is {
			text += fmt.Sprintf(" %.1f s", took.Seconds())
		}
		return text
	case r.Error != "":
		return fmt.Sprintf("%s: %s", r.Outcome, oneLine(r.Error))
	case r.Left > 0:
		return "draining " + count(r.Left, "connection")
	case f.Order > 0 && r.Mode == f.Wanted && r.Cut > 0:
		return "shut: something was cut that the application may still be working on"
	}
	return string(r.Outcome)
}

// Awaiting says how far the hosts have got, in place of what it said last.
func (t *Terminal) Awaiting(orders fleet.Orders) {
	if t.Words == Quiet {
		return
	}
	fs := ofOrders(orders)
	var parts []string
	for _, f := range fs {
		for _, h := range f.Hosts {
			name := h.Host
			if len(fs) > 1 {
				name = f.Site + " " + name
			}
			parts = append(parts, name+" "+f.says(h))
		}
	}
	if len(parts) > 0 {
		t.live.show(strings.Join(parts, " · "))
	}
}

// rows prints a row for each host.
func (t *Terminal) rows(w io.Writer, f Fleet) {
	if f.Err != nil && len(f.Hosts) == 0 {
		t.row(w, "hosts", "not seen: "+oneLine(f.Err.Error()))
		return
	}
	for _, h := range f.Hosts {
		t.row(w, h.Host, f.says(h))
	}
	if len(f.Hosts) == 0 {
		t.row(w, "hosts", "none has begun to follow")
	}
}

// Ordered prints what came of orders: last whether all hosts are there.
func (t *Terminal) Ordered(orders fleet.Orders) {
	t.live.end()
	fs := ofOrders(orders)
	w := t.people()
	for _, f := range fs {
		if f.Err != nil && !f.Done {
			t.problem(fmt.Sprintf("follow order %d of %s: %v", f.Order, f.Site, f.Err), hintsAbout(f.Err, f.Site))
		}
		if t.Words == Quiet && f.Done {
			continue
		}
		fmt.Fprintf(w, "%s is ordered %s (order %d)\n", f.Site, f.Wanted, f.Order)
		t.rows(w, f)
		fmt.Fprintln(w, t.fleetVerdict(w, f))
	}
	documentOf(t, withErrors(fs))
}

// fleetVerdict says whether all hosts are there, and who isn't.
func (t *Terminal) fleetVerdict(w io.Writer, f Fleet) string {
	n := len(f.Hosts)
	switch {
	case f.Done && f.Wanted == status.Offline:
		return t.paint(w, green, fmt.Sprintf("safe to take a snapshot: %d of %d hosts", n, n))
	case f.Done:
		return t.paint(w, green, fmt.Sprintf("%s on %d of %d hosts", f.Wanted, n, n))
	case f.Later:
		return t.paint(w, red, "NOT SAFE:") + " somebody else has given an order meanwhile"
	case n == 0 && f.Err != nil:
		return t.paint(w, red, "NOT SAFE:") + " the hosts can't be seen"
	case n == 0:
		return t.paint(w, red, "NOT SAFE:") + " no host follows this site; see systemctl status conforma-status-follow on each"
	case f.Wanted == status.Online:
		return t.paint(w, red, "NOT OPEN:") + " " + strings.Join(f.Missing, ", ") + "; visitors are told " + string(f.Mode)
	}
	return t.paint(w, red, "NOT SAFE:") + " " + strings.Join(f.Missing, ", ")
}

// withErrors are the same, with what can't be read said in JSON too.
func withErrors(fs []Fleet) []Fleet {
	fs = slices.Clone(fs)
	for i := range fs {
		if fs[i].Err != nil {
			fs[i].Error = fs[i].Err.Error()
		}
	}
	return fs
}

// Fleets prints the hosts of each site.
func (t *Terminal) Fleets(fs []Fleet) {
	documentOf(t, withErrors(fs))
	w := t.people()
	for _, f := range fs {
		if t.Words == Quiet && f.Err == nil && len(f.Missing) == 0 {
			continue
		}
		fmt.Fprintf(w, "%s: %s\n", f.Site, f.orderWords())
		t.rows(w, f)
	}
}

// orderWords say what is ordered.
func (f Fleet) orderWords() string {
	switch {
	case f.Wanted == "":
		return "it can't be read what is ordered"
	case f.Order == 0:
		return "nobody has ordered anything yet"
	}
	return fmt.Sprintf("%s (order %d)", f.Wanted, f.Order)
}

// fleetView is a site as this host sees it, with all hosts.
type fleetView struct {
	maintenance.View
	Fleet Fleet `json:"fleet"`
}

// FleetViews prints what get found on a host of a fleet: that of each site, and a row for each host.
func (t *Terminal) FleetViews(vs []maintenance.View, fs []Fleet) {
	var both []fleetView
	for i, f := range withErrors(fs) {
		v := vs[i]
		if (!f.Done || f.Wanted != v.Wanted.Mode) && v.Wanted.SafeSince != nil { // one host alone says nothing of the others
			v.Wanted.SafeSince, v.Wanted.NotSafe = nil, notSafeInFleet
		}
		both = append(both, fleetView{v, f})
	}
	documentOf(t, both)
	w := t.people()
	for _, v := range both {
		t.view(w, v.View)
		if f := v.Fleet; t.Words != Quiet || f.Err != nil || len(f.Missing) > 0 {
			t.row(w, "ordered", f.orderWords())
			t.rows(w, f)
		}
	}
}

// Forgotten says that a host was forgotten.
func (t *Terminal) Forgotten(host string, sites []string) {
	t.document(struct {
		Version   int      `json:"version"`
		Forgotten string   `json:"forgotten"`
		Sites     []string `json:"sites"`
	}{1, host, sites})
	fmt.Fprintf(t.people(), "%s is no member of %s any more\n", host, strings.Join(sites, ", "))
}

// Said says what visitors are told now.
func (t *Terminal) Said(ds []status.Document) {
	documentOf(t, ds)
	for _, d := range ds {
		text := fmt.Sprintf("%s is %s", d.Site, d.Mode)
		if d.Mode.Closed() {
			text += sinceWords(d.Since, d.ExpectedUntil)
		}
		fmt.Fprintln(t.people(), text)
	}
}
