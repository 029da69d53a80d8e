package maintenance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers/barrier"
	"github.com/msupply-foundation/conforma-status/status"
)

// Kernel is the kernel barrier of this host, see there. barrier.Barrier is the real one.
type Kernel interface {
	Places(ctx context.Context, master int, upstreams map[string][]string) (map[string]barrier.Place, error)
	Who(master int, ends []barrier.End) ([]barrier.User, []barrier.Cgroup, error)
	Probe(ctx context.Context, master int, r barrier.Rules) error
	Load(ctx context.Context, master int, r barrier.Rules) error
	Prove(ctx context.Context, master int, r barrier.Rules, sites []string, users []barrier.User) (barrier.Seen, error)
	Look(ctx context.Context, master int, r barrier.Rules) (barrier.Seen, error)
	Remove(ctx context.Context, master int) error
	IsContainer(master int) bool
	Clients(master int, f barrier.Found) (map[string][]workers.Client, error)
}

// ErrBarrier is returned (wrapped) where the kernel barrier is required and can't be had.
var ErrBarrier = errors.New("the kernel barrier is required, and can't be had")

var (
	errBarrierOff = errors.New(`it is switched off (barrier = "off")`)
	// ErrShared is why a site has no barrier whose upstream is not its own.
	ErrShared = errors.New("an upstream is shared with a site that is open")
)

// kernelTimeout bounds each question to the kernel, which takes milliseconds where others leave it alone, and the
// look-up of the upstreams' names.
const kernelTimeout = 10 * time.Second

// treatment is what the barrier does with connections to the upstreams of a site.
type treatment struct{ nginx, outside barrier.Verdict }

var (
	left    = treatment{}
	counted = treatment{barrier.Count, barrier.Count}
	gated   = treatment{barrier.Leave, barrier.Refuse} // admin: nginx lets some through
	refused = treatment{barrier.Refuse, barrier.Refuse}
)

// atLeast is the stricter of two, for nginx and for outside.
func (t treatment) atLeast(o treatment) treatment {
	return treatment{max(t.nginx, o.nginx), max(t.outside, o.outside)}
}

// table is the kernel barrier while sites change: what it is to do for each.
type table struct {
	*Host
	master int
	// found has no users before they are looked for: that takes longer than a site may stay open.
	found barrier.Found
	// ledTo are the upstreams by nginx's configuration, of sites that don't say theirs; see readFirst.
	ledTo map[string][]string
	wants map[string]treatment // by site
	// none is why a site has no barrier, by its name; nil where it can have one.
	none map[string]error
	// there is whether the kernel has a table of ours, and differs how that differs from what it was told.
	there   bool
	differs string
	known   state.Barrier // what it was told
	// lost are the sites whose barrier was there and is gone, or was not enough.
	lost map[string]bool
	// joins are sites that were closed before, one by one, and get their barrier with the one that closes now.
	joins []string
	// records are those that readRecords has read, by name; nil where it wasn't called.
	records map[string]state.Record
	// remembers is whether what the kernel said since the machine was started is enough; see canHave.
	remembers bool
	// err is why the kernel can't be looked at, nil where it can.
	err error
}

// noTable is one that nothing was looked at for.
func (h *Host) noTable() *table {
	return &table{Host: h, wants: map[string]treatment{}, none: map[string]error{}, lost: map[string]bool{}}
}

// table looks at the kernel barrier, and at what it is to be made of.
func (h *Host) table(ctx context.Context) *table { return h.tableOf(ctx, h.Config.Sites) }

// tableOf is table for a change of those sites. It goes by the records of others only where they may be closed: there
// are hundreds, and a site that closes is open until they are read.
func (h *Host) tableOf(ctx context.Context, sites []config.Site) *table {
	t := h.noTable()
	if h.Kernel == nil || h.Config.Barrier == config.BarrierOff {
		return t.unavailable(errBarrierOff)
	}
	ctx, cancel := context.WithTimeout(ctx, kernelTimeout)
	defer cancel()
	if t.master, t.err = h.Nginx.Master(); t.err != nil {
		return t.unavailable(t.err)
	}
	if t.known, _, t.err = h.Dir().Barrier(); t.err != nil {
		return t.unavailable(t.err)
	}
	var seen barrier.Seen
	var unseen error
	atOnce(
		func() { t.err = t.find(ctx) },
		func() { seen, unseen = h.Kernel.Look(ctx, t.master, t.known.Rules) },
		func() { t.readRecords(sites) },
	)
	if t.err = cmp.Or(t.err, unseen); t.err != nil {
		return t.unavailable(t.err)
	}
	t.there, t.differs = seen.There, seen.Differs
	t.goByRecords(seen)
	return t
}

// readRecords reads the records of these sites, and of those that the kernel was told of, or that have a closed file.
func (t *table) readRecords(sites []config.Site) {
	matters := map[string]bool{}
	for _, s := range sites {
		matters[s.Name] = true
	}
	for _, s := range t.known.Rules.Sites {
		matters[s.Name] = matters[s.Name] || !s.IsLeft()
	}
	t.records = map[string]state.Record{}
	for _, s := range t.Config.Sites {
		if !matters[s.Name] && !t.Dir().IsShut(s.Name) {
			continue
		}
		if r, known, err := t.Dir().Record(s.Name); err == nil && known {
			t.records[s.Name] = r
		}
	}
}

// onRecord is that of the host when the table was made, but for sites that readRecords passes by: they are open.
func (t *table) onRecord() iter.Seq2[config.Site, state.Record] {
	if t.records == nil {
		return t.Host.onRecord()
	}
	return func(yield func(config.Site, state.Record) bool) {
		for _, s := range t.Config.Sites {
			if r, known := t.records[s.Name]; known && !yield(s, r) {
				return
			}
		}
	}
}

func (t *table) unavailable(why error) *table {
	for _, s := range t.Config.Sites {
		t.none[s.Name] = why
	}
	return t
}

// treatmentOf is what the barrier does for a site by its record.
func treatmentOf(r state.Record) treatment {
	switch {
	case !r.Barrier:
		return left
	case r.Document.Mode == status.Offline:
		return refused
	case r.Document.Mode.Closed():
		return gated
	}
	return left
}

// find finds out what the table is to be made of now: workers come and go, and names get other addresses.
func (t *table) find(ctx context.Context) error {
	upstreams := map[string][]string{}
	for _, s := range t.Config.Sites {
		upstreams[s.Name] = s.Upstreams
		if len(s.Upstreams) == 0 {
			upstreams[s.Name] = t.ledTo[s.Name]
		}
	}
	found, err := t.Kernel.Places(ctx, t.master, upstreams)
	if err != nil {
		return err
	}
	t.found.Sites = found
	for name, place := range found {
		// A name that can't be looked up while its site is closed: what the kernel was told goes on.
		if was := t.told(name); place.Err != nil && len(was.Ends) > 0 && !errors.Is(place.Err, barrier.ErrUnixSocket) {
			found[name] = was
		} else if place.Err != nil {
			t.none[name] = place.Err
		}
	}
	return nil
}

// findUsers finds out who nginx's workers are now.
func (t *table) findUsers() error {
	var ends []barrier.End
	for _, place := range t.found.Sites {
		ends = append(ends, place.Ends...)
	}
	users, exempt, err := t.Kernel.Who(t.master, ends)
	if err != nil {
		return err
	}
	slices.SortFunc(users, func(a, b barrier.User) int { return cmp.Compare(a.ID, b.ID) })
	t.found.Users, t.found.Exempt = users, exempt
	return nil
}

// told is where the kernel was told that the upstreams of a closed site are.
func (t *table) told(site string) barrier.Place {
	for _, s := range t.known.Rules.Sites {
		if s.Name == site && s.Outside == barrier.Refuse {
			return barrier.Place{Ends: s.Ends, Around: s.Around, Ways: s.Ways}
		}
	}
	return barrier.Place{}
}

// leadsElsewhere reports whether an upstream of a site has an address that the kernel wasn't told.
func (t *table) leadsElsewhere(site string) bool {
	told := t.told(site).Ends
	return slices.ContainsFunc(t.found.Sites[site].Ends, func(e barrier.End) bool {
		return !slices.ContainsFunc(told, func(o barrier.End) bool {
			return o.Addr == e.Addr || o.Anywhere && e.Local && o.Addr.Port() == e.Addr.Port()
		})
	})
}

// rules are those of the table. Open sites are among them, so that shared upstreams are found. If two sites share an
// upstream, the more lenient rule holds, and the site with the stricter one has no barrier.
func (t *table) rules() barrier.Rules {
	r := barrier.Rules{Users: barrier.IDs(t.found.Users), Exempt: t.found.Exempt}
	for _, s := range t.Config.Sites {
		if place := t.found.Sites[s.Name]; len(place.Ends) > 0 {
			w := t.wants[s.Name]
			r.Sites = append(r.Sites, barrier.Site{
				Name: s.Name, Nginx: w.nginx, Outside: w.outside, Ends: place.Ends, Around: place.Around, Ways: place.Ways,
			})
		}
	}
	for {
		var shared *barrier.SharedError
		if !errors.As(r.Check(), &shared) {
			return r
		}
		a, b := t.wants[shared.A], t.wants[shared.B]
		mild := treatment{min(a.nginx, b.nginx), min(a.outside, b.outside)}
		for i := range r.Sites {
			switch name := r.Sites[i].Name; {
			case name != shared.A && name != shared.B:
			case t.wants[name] != mild:
				t.none[name] = fmt.Errorf("%w: %w", ErrShared, shared)
				fallthrough
			default:
				t.wants[name] = mild
				r.Sites[i].Nginx, r.Sites[i].Outside = mild.nginx, mild.outside
			}
		}
	}
}

// try finds out whether these sites can have the barrier, and changes nothing.
func (t *table) try(ctx context.Context, sites []config.Site) {
	if t.err != nil || len(t.found.Sites) == 0 || len(sites) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, kernelTimeout)
	defer cancel()
	was := map[string]treatment{}
	maps.Copy(was, t.wants)
	for _, s := range sites {
		if t.none[s.Name] == nil {
			t.wants[s.Name] = refused
		}
	}
	for _, name := range t.joins {
		t.wants[name] = refused
	}
	if err := t.canHave(ctx, t.rules()); err != nil {
		t.unavailable(err)
	}
	t.wants = was
}

// canHave asks the kernel whether it would follow rules. An ordinary change asks it once while the machine runs: the
// answer takes as long as all else before a site is shut. Should the kernel go back on it, the change has no barrier.
func (t *table) canHave(ctx context.Context, r barrier.Rules) error {
	remembers := t.remembers && !t.Kernel.IsContainer(t.master)
	if remembers && t.Dir().HasTried(r) {
		return nil
	}
	err := t.Kernel.Probe(ctx, t.master, r)
	if err == nil && remembers {
		_ = t.Dir().NoteTried(r) // then it is asked again
	}
	return err
}

// load has the kernel do what is wanted. It first writes down what it tells the kernel: a machine that reboots needs
// that. If nobody is to be refused or counted, there is no table.
func (t *table) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), kernelTimeout)
	defer cancel()
	if !isWanted(t.rules()) {
		if err := t.Kernel.Remove(ctx, t.master); err != nil {
			return err
		}
		t.there = false
		return t.Dir().ForgetBarrier()
	}
	if t.found.Users == nil && t.err == nil {
		if err := t.findUsers(); err != nil {
			return err
		}
	}
	r := t.rules()
	known := state.Barrier{Rules: r, Users: t.found.Users, Container: t.Kernel.IsContainer(t.master)}
	if err := t.Dir().WriteBarrier(known); err != nil {
		return err
	}
	if err := t.Kernel.Load(ctx, t.master, r); err != nil {
		return err
	}
	t.there = true
	return nil
}

// isWanted reports whether the rules refuse or count anybody.
func isWanted(r barrier.Rules) bool {
	return slices.ContainsFunc(r.Sites, func(s barrier.Site) bool { return !s.IsLeft() })
}

// prove proves the barrier of those sites, which is loaded, and returns how many connections nginx got through while
// they were counted only, by site.
func (t *table) prove(ctx context.Context, sites []string) (map[string]uint64, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), kernelTimeout)
	defer cancel()
	seen, err := t.Kernel.Prove(ctx, t.master, t.rules(), sites, t.found.Users)
	if err != nil {
		return nil, err
	}
	if seen.Less {
		return nil, fmt.Errorf("%w: %s", barrier.ErrNotProven, seen.Differs)
	}
	passed := map[string]uint64{}
	for _, name := range sites {
		passed[name] = seen.Nginx[name].Passed()
	}
	return passed, nil
}

// tableFor is the kernel barrier for a request, with what of it the sites of the request can have.
func (h *Host) tableFor(ctx context.Context, req Request) *table {
	if req.Keeps == KeepsMode {
		return h.noTable().unavailable(errBarrierOff)
	}
	t := h.tableOf(ctx, req.Sites)
	t.remembers = !req.DryRun && h.Config.Barrier != config.BarrierRequired
	if req.Mode.Closed() {
		t.readFirst(ctx, req.Sites)
		if req.Mode == status.Offline {
			t.findJoining(req.Sites)
		}
		t.try(ctx, req.Sites)
	}
	return t
}

// scope adds to which sockets are a site's what is known of its upstreams' addresses.
func (t *table) scope(site string, s *workers.Scope) {
	for _, e := range t.found.Sites[site].Ends {
		if e.Anywhere {
			s.Anywhere = append(s.Anywhere, e.Addr.Port())
		}
		if at := e.Addr.String(); !slices.Contains(s.Upstreams, at) {
			s.Upstreams = append(s.Upstreams, at)
		}
	}
}
