//go:build linux

package barrier

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// State is what the kernel has of a table.
type State struct {
	// There is whether the table is there at all. What follows is empty where it isn't.
	There bool

	dormant bool
	chains  []foundChain
	counts  map[string]map[string]uint64 // of the elements of each set, by key; 0 where they have no counters
}

// foundChain is a chain of the table in the kernel.
type foundChain struct {
	name           string
	hook, priority int64 // of a chain that isn't jumped to, else -1 and 0
	rules          []string
}

// Differs compares the table with what Load makes for the rules. It returns in words how it differs, or "". less is set
// if a connection that the rules refuse may have passed, because somebody changed the table or what is wanted has
// changed.
func (s State) Differs(r Rules) (how string, less bool) {
	switch {
	case !s.There:
		return "the table is gone", true
	case !s.intact():
		return "somebody else has changed the table", true
	case !s.exempts(r):
		how = "the table exempts another cgroup"
	}
	has, wants := s.elements(), r.elements()
	for _, name := range setNames() {
		more, fewer := missing(has[name], wants[name]), missing(wants[name], has[name])
		switch {
		case len(more)+len(fewer) == 0:
			continue
		case name == usersSet:
			how = "the table is for other user ids"
		default:
			how = "the table is for other upstreams, or does something else with them"
		}
		letsIn := sets[name].iface // what is in these is let in, what is in the others is not
		less = less || letsIn && len(more) > 0 || !letsIn && len(fewer) > 0
	}
	return how, less
}

// Nginx is what nginx's workers tried of a site, but for what Prove did. Sites with an upstream in common are told
// the same of it.
func (s State) Nginx(site Site) Traffic {
	t := Traffic{s.sum(nginxTried, site), s.sum(nginxRefused, site)}
	t.Refused -= min(t.Refused, s.sum(nginxProven, site))
	return t
}

// Outside is Nginx for what came from outside this machine.
func (s State) Outside(site Site) Traffic {
	return Traffic{s.sum(outsideTried, site), s.sum(outsideRefused, site)}
}

func (s State) sum(name string, site Site) uint64 {
	sum, seen := uint64(0), elements{}
	for _, end := range site.Ends {
		set, at := of(name, end.kind()), key(end.kind(), end.Addr)
		if !seen[set][at] {
			sum += s.counts[set][at]
			seen.add(set, at)
		}
	}
	return sum
}

func (s State) elements() elements {
	out := elements{}
	for name, of := range s.counts {
		for k := range of {
			out.add(name, k)
		}
	}
	return out
}

// intact reports whether the table is as Load makes it, but for what its sets hold and what is exempt.
func (s State) intact() bool {
	wanted := chains()
	if !s.There || s.dormant || len(s.chains) != len(wanted) || len(s.counts) != len(setNames()) {
		return false
	}
	for _, name := range setNames() {
		if s.counts[name] == nil {
			return false
		}
	}
	for _, w := range wanted {
		found := s.chain(w.name)
		if w.name == exemptChain {
			found.rules = nil
		}
		if !found.is(w) {
			return false
		}
	}
	return true
}

// exempts reports whether that is exempt which the rules exempt.
func (s State) exempts(r Rules) bool {
	return s.chain(exemptChain).is(chain{name: exemptChain, rules: r.exempt()})
}

func (s State) chain(name string) foundChain {
	for _, c := range s.chains {
		if c.name == name {
			return c
		}
	}
	return foundChain{}
}

func (f foundChain) is(w chain) bool {
	hook, priority := int64(-1), int64(0)
	if w.hook != nil {
		hook, priority = int64(*w.hook), int64(*w.priority)
	}
	if f.name != w.name || f.hook != hook || f.priority != priority || len(f.rules) != len(w.rules) {
		return false
	}
	for i, exprs := range w.rules {
		if written, err := text(exprs); err != nil || written != f.rules[i] {
			return false
		}
	}
	return true
}

// text is a rule in bytes that can be compared: as it is sent, without what the kernel doesn't tell.
func text(exprs []expr.Any) (string, error) {
	var out bytes.Buffer
	for _, e := range exprs {
		if _, untold := e.(*expr.Socket); untold { // the library doesn't read it
			continue
		}
		if l, is := e.(*expr.Lookup); is {
			e = &expr.Lookup{SourceRegister: l.SourceRegister, SetName: l.SetName, Invert: l.Invert}
		}
		b, err := expr.Marshal(unix.NFPROTO_INET, e)
		if err != nil {
			return "", err
		}
		out.Write(b)
	}
	return out.String(), nil
}

// errChanging is returned by read where somebody changes the packet filter again and again.
var errChanging = errors.New("somebody else changes the packet filter all the time")

// read reads the table: all of it, or nothing but the sets whose names begin with only. Where somebody changes anything
// meanwhile, which needn't be this table, it reads anew, until it has found the same twice.
func read(c *link, name, only string) (State, error) {
	var last *State
	for range 10 {
		before, err := c.generation()
		if err != nil {
			return State{}, explained(err)
		}
		s, err := readOnce(c, name, only)
		after, genErr := c.generation()
		if genErr != nil {
			return State{}, explained(genErr)
		}
		if before == after || err == nil && last != nil && s.same(*last) {
			return s, err
		}
		if last = &s; err != nil {
			last = nil
		}
	}
	return State{}, errChanging
}

// same reports whether two states differ in nothing but what was counted.
func (s State) same(o State) bool {
	return s.There == o.There && s.dormant == o.dormant && reflect.DeepEqual(s.chains, o.chains) && reflect.DeepEqual(s.elements(), o.elements())
}

// all is all of a table.
const all = ""

func readOnce(c *link, name, only string) (State, error) {
	table, err := c.ListTableOfFamily(name, nftables.TableFamilyINet)
	if errors.Is(err, unix.ENOENT) {
		return State{}, nil
	}
	if err != nil {
		return State{}, explained(err)
	}
	const dormant, owned = 1, 2 // NFT_TABLE_F_DORMANT, NFT_TABLE_F_OWNER of linux/netfilter/nf_tables.h
	flags := binary.BigEndian.Uint32(binary.NativeEndian.AppendUint32(nil, table.Flags))
	if flags&owned != 0 {
		return State{}, fmt.Errorf("%w: a program owns %s", ErrNotOurs, table.Name)
	}
	s := State{There: true, dormant: flags&dormant != 0, counts: map[string]map[string]uint64{}}
	if only == all {
		ours, others, err := readChains(c, table, &s)
		if err != nil {
			return State{}, err
		}
		if !ours && others {
			return State{}, fmt.Errorf("%w: nothing in %s says that conforma-status made it", ErrNotOurs, table.Name)
		}
	}
	return s, readSets(c, table, only, &s)
}

// readChains reads the chains with their rules, and reports whether any rule says that it is ours, and whether any
// doesn't.
func readChains(c *link, table *nftables.Table, s *State) (ours, others bool, err error) {
	chains, err := c.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return false, false, explained(err)
	}
	for _, ch := range chains {
		if ch.Table.Name != table.Name {
			continue
		}
		f := foundChain{name: ch.Name, hook: -1}
		if ch.Hooknum != nil {
			f.hook, f.priority = int64(*ch.Hooknum), int64(*ch.Priority)
		}
		rules, err := c.GetRules(table, ch)
		if err != nil {
			return false, false, explained(err)
		}
		for _, r := range rules {
			if strings.Contains(string(r.UserData), commentPrefix) {
				ours = true
			} else {
				others = true
			}
			written, err := text(r.Exprs)
			if err != nil {
				return false, false, err
			}
			f.rules = append(f.rules, written)
		}
		s.chains = append(s.chains, f)
	}
	return ours, others, nil
}

func readSets(c *link, table *nftables.Table, only string, s *State) error {
	there, err := c.GetSets(table)
	if err != nil {
		return explained(err)
	}
	for _, set := range there {
		if !strings.HasPrefix(set.Name, only) {
			continue
		}
		elements, err := c.GetSetElements(set)
		if err != nil {
			return explained(err)
		}
		s.counts[set.Name] = map[string]uint64{}
		for _, e := range elements {
			packets := uint64(0)
			if e.Counter != nil {
				packets = e.Counter.Packets
			}
			s.counts[set.Name][string(e.Key)] = packets
		}
	}
	return nil
}
