//go:build linux

package barrier

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// Table is the barrier of one configuration in one network namespace: one table of nf_tables, family inet, which is
// there or not.
//
// Its methods are for one caller at a time on a host: a lock sees to that. All of them return an error that wraps
// workers.ErrNoAnswer when ctx ends first, and otherwise what keeps them from it: ErrNotAllowed, workers.ErrCantEnter,
// workers.ErrNoNamespace, ErrNoNftables.
type Table struct {
	StateDir string          // of the configuration: its name is the table's
	Network  workers.Network // where nginx is
}

// Load has the kernel follow the rules, from one packet to the next: in one transaction. An end that was there before
// goes on with its counters, where its verdict changes too. Where the table isn't as it should be it is replaced as a
// whole, and its counters begin anew.
//
// The error is a *SharedError where the rules can't be followed by any table; it wraps ErrNotOurs where there is a
// table of that name that isn't ours, and ErrTooOld. After an error the kernel follows what it followed before, but
// after workers.ErrNoAnswer.
func (t Table) Load(ctx context.Context, r Rules) error {
	if err := r.Check(); err != nil {
		return fmt.Errorf("load the kernel barrier: %w", err)
	}
	return t.doing(ctx, "load the kernel barrier", func(c *link) error {
		there, err := read(c, Name(t.StateDir), all)
		if err != nil {
			return err
		}
		if there.intact() {
			// It may be changed by others between the two.
			if err := t.change(c, there, r); !errors.Is(err, ErrTooOld) {
				return err
			}
		}
		if there.There { // without it no processor has to be waited for
			c.AddTable(t.table()) // should it be gone meanwhile
			c.DelTable(t.table())
		}
		if err := t.build(c, t.table(), r); err != nil {
			return err
		}
		return flush(c)
	})
}

// Remove takes the table away. It is no error where there is none. The error wraps ErrNotOurs where it is somebody
// else's.
func (t Table) Remove(ctx context.Context) error {
	return t.doing(ctx, "remove the kernel barrier", func(c *link) error {
		there, err := read(c, Name(t.StateDir), all)
		if err != nil || !there.There {
			return err
		}
		c.DelTable(t.table())
		return flush(c)
	})
}

// RemoveAll takes away the tables of all configurations in the namespace, and returns the names of those that there
// were. The errors are those of Table.
func RemoveAll(ctx context.Context, n workers.Network) ([]string, error) {
	var removed []string
	err := Table{Network: n}.doing(ctx, "remove the kernel barriers", func(c *link) error {
		tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
		if err != nil {
			return explained(err)
		}
		for _, t := range tables {
			if !strings.HasPrefix(t.Name, namePrefix) {
				continue
			}
			if _, err := read(c, t.Name, all); errors.Is(err, ErrNotOurs) {
				continue
			} else if err != nil {
				return err
			}
			c.DelTable(t)
			if err := flush(c); err != nil {
				return err
			}
			removed = append(removed, t.Name)
		}
		return nil
	})
	return removed, err
}

// Read returns what the kernel has. The error wraps ErrNotOurs where there is a table of that name that isn't ours.
func (t Table) Read(ctx context.Context) (State, error) { return t.readOf(ctx, all) }

func (t Table) readOf(ctx context.Context, only string) (State, error) {
	var out State
	err := t.doing(ctx, "look at the kernel barrier", func(c *link) (err error) {
		out, err = read(c, Name(t.StateDir), only)
		return err
	})
	if err != nil { // where nobody answers, what was asked may still be at work on out
		return State{}, err
	}
	return out, nil
}

// Probe asks the kernel whether it would follow such rules, and leaves everything as it is. The errors are those of
// Load.
func (t Table) Probe(ctx context.Context, r Rules) error {
	if err := r.Check(); err != nil {
		return fmt.Errorf("try whether the kernel barrier can be had: %w", err)
	}
	return t.doing(ctx, "try whether the kernel barrier can be had", func(c *link) error {
		if _, err := read(c, Name(t.StateDir), all); err != nil {
			return err
		}
		trial := &nftables.Table{Family: nftables.TableFamilyINet, Name: Name(t.StateDir) + "_probe"}
		if err := t.build(c, trial, r); err != nil {
			return err
		}
		c.DelTable(trial) // all in one transaction: nobody ever sees it
		return flush(c)
	})
}

func (t Table) table() *nftables.Table {
	return &nftables.Table{Family: nftables.TableFamilyINet, Name: Name(t.StateDir)}
}

// busy is held while this process talks with the kernel, also by what nobody waits for any more: nothing overtakes
// it.
var busy = make(chan struct{}, 1)

// doing is do with what it is done for in the error.
func (t Table) doing(ctx context.Context, what string, f func(*link) error) error {
	if err := t.do(ctx, f); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// do calls f with a connection to the kernel's packet filter in the namespace.
func (t Table) do(ctx context.Context, f func(*link) error) error {
	select {
	case busy <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", workers.ErrNoAnswer, ctx.Err())
	}
	return t.Network.Within(ctx, func() { <-busy }, func() error {
		c, err := dial()
		if err != nil {
			return explained(err)
		}
		defer c.CloseLasting()
		defer context.AfterFunc(ctx, func() { c.socket.Close() })()
		return f(c)
	})
}

// link is a connection to the kernel's packet filter.
type link struct {
	*nftables.Conn
	socket *netlink.Conn // which it uses
}

// bufferSize has room for some 20,000 ends.
const bufferSize = 16 << 20

func dial() (*link, error) {
	var c link
	var err error
	c.Conn, err = nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(s *netlink.Conn) error {
		c.socket = s
		// The kernel takes a transaction in one piece, and loses answers that there is no room for.
		return errors.Join(s.SetWriteBuffer(bufferSize), s.SetReadBuffer(bufferSize))
	}))
	return &c, err
}

// generation is a number that changes with each change of the packet filter, whoever makes it.
func (c *link) generation() (uint32, error) {
	answers, err := c.socket.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETGEN, Flags: netlink.Request},
		Data:   []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0}, // struct nfgenmsg of linux/netfilter/nfnetlink.h
	})
	if err != nil {
		return 0, err
	}
	for _, m := range answers {
		attributes, err := netlink.NewAttributeDecoder(m.Data[min(4, len(m.Data)):])
		if err != nil {
			return 0, err
		}
		attributes.ByteOrder = binary.BigEndian
		for attributes.Next() {
			if attributes.Type() == unix.NFTA_GEN_ID {
				return attributes.Uint32(), attributes.Err()
			}
		}
	}
	return 0, errors.New("the kernel doesn't say which generation its packet filter is")
}

// build adds the table with all that is in it.
func (t Table) build(c *link, table *nftables.Table, r Rules) error {
	c.CreateTable(table)
	hold := r.elements()
	for _, name := range setNames() {
		if err := c.AddSet(kernelSet(table, name), nil); err != nil {
			return err
		}
		if err := fill(c, table, name, missing(hold[name], nil)); err != nil {
			return err
		}
	}
	for _, ch := range chains() {
		at := &nftables.Chain{Name: ch.name, Table: table}
		if ch.hook != nil {
			at.Type, at.Hooknum, at.Priority = nftables.ChainTypeFilter, ch.hook, ch.priority
		}
		c.AddChain(at)
		t.addRules(c, at, ch.rules)
	}
	t.addRules(c, &nftables.Chain{Name: exemptChain, Table: table}, r.exempt())
	return nil
}

func (t Table) addRules(c *link, to *nftables.Chain, rules [][]expr.Any) {
	for _, exprs := range rules {
		c.AddRule(&nftables.Rule{Table: to.Table, Chain: to, Exprs: exprs, UserData: ruleComment(comment(t.StateDir))})
	}
}

// atOnce is how many elements one message may have: the length of a list is written in 16 bits.
const atOnce = 500

// fill adds the elements to a set that is there, or in the same transaction.
func fill(c *link, table *nftables.Table, name string, keys []string) error {
	for part := range slices.Chunk(keys, atOnce) {
		if err := c.SetAddElements(kernelSet(table, name), setElements(part)); err != nil {
			return err
		}
	}
	return nil
}

// change brings a table that is intact to what the rules say, in one transaction.
func (t Table) change(c *link, there State, r Rules) error {
	from, to := there.elements(), r.elements()
	if !there.exempts(r) {
		exempt := &nftables.Chain{Name: exemptChain, Table: t.table()}
		c.FlushChain(exempt)
		t.addRules(c, exempt, r.exempt())
	}
	for _, name := range setNames() {
		for part := range slices.Chunk(missing(from[name], to[name]), atOnce) {
			if err := c.SetDeleteElements(kernelSet(t.table(), name), setElements(part)); err != nil {
				return err
			}
		}
		if err := fill(c, t.table(), name, missing(to[name], from[name])); err != nil {
			return err
		}
	}
	return flush(c)
}

// missing are the keys of a that b hasn't, in order.
func missing(a, b map[string]bool) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(a)) {
		if !b[k] {
			out = append(out, k)
		}
	}
	return out
}

func setNames() []string { return append(slices.Sorted(maps.Keys(sets)), usersSet) }

func kernelSet(table *nftables.Table, name string) *nftables.Set {
	if name == usersSet {
		return &nftables.Set{Table: table, Name: name, KeyType: nftables.TypeUID, KeyByteOrder: binaryutil.NativeEndian}
	}
	keyType, concatenation := sets[name].keyType()
	return &nftables.Set{
		Table: table, Name: name, KeyType: keyType, Concatenation: concatenation, KeyByteOrder: binaryutil.BigEndian,
		Counter: sets[name].counted,
	}
}

func setElements(keys []string) []nftables.SetElement {
	var out []nftables.SetElement
	for _, k := range keys {
		out = append(out, nftables.SetElement{Key: []byte(k)})
	}
	return out
}

// flush hands the transaction to the kernel.
func flush(c *link) error {
	err := c.Flush()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOENT), errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%w (%w)", ErrTooOld, err)
	}
	return explained(err)
}

// explained says what an error of the kernel means.
func explained(err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w (%w)", ErrNotAllowed, err)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EAFNOSUPPORT):
		return fmt.Errorf("%w (%w)", ErrNoNftables, err)
	}
	return err
}
