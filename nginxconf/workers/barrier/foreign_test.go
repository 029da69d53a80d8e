//go:build linux

package barrier

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// TestBesideOthers loads the table beside rules shaped like those of others, before them and after them.
func TestBesideOthers(t *testing.T) {
	accept, drop := nftables.ChainPolicyAccept, nftables.ChainPolicyDrop
	base := func(c *nftables.Conn, family nftables.TableFamily, table, chain string, hook *nftables.ChainHook, priority int32, policy nftables.ChainPolicy, rules ...[]expr.Any) {
		at := c.AddTable(&nftables.Table{Family: family, Name: table})
		ch := c.AddChain(&nftables.Chain{Table: at, Name: chain, Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: nftables.ChainPriorityRef(nftables.ChainPriority(priority)), Policy: &policy})
		for _, r := range rules {
			c.AddRule(&nftables.Rule{Table: at, Chain: ch, Exprs: r})
		}
	}
	let := verdict(expr.VerdictAccept, "")
	onLoopback := append(meta(expr.MetaKeyIIFNAME, expr.CmpOpEq, []byte(ifname("lo"))), let...)
	known := rule([]expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}, let)
	for name, others := range map[string]func(*nftables.Conn){
		"ufw": func(c *nftables.Conn) { // iptables-nft, INPUT dropped but for what is known and two ports
			base(c, nftables.TableFamilyIPv4, "filter", "INPUT", nftables.ChainHookInput, 0, drop, onLoopback, known, append(port(8000), let...), append(port(8001), let...))
			base(c, nftables.TableFamilyIPv4, "filter", "FORWARD", nftables.ChainHookForward, 0, drop, known)
			base(c, nftables.TableFamilyIPv4, "filter", "OUTPUT", nftables.ChainHookOutput, 0, accept, known, let)
		},
		"firewalld": func(c *nftables.Conn) { // a table of its own, a little later than others
			base(c, nftables.TableFamilyINet, "firewalld", "filter_INPUT", nftables.ChainHookInput, 10, accept, known, onLoopback, append(port(8000), let...), append(port(8001), let...), verdict(expr.VerdictDrop, ""))
			base(c, nftables.TableFamilyINet, "firewalld", "filter_OUTPUT", nftables.ChainHookOutput, 10, accept, known, let)
			base(c, nftables.TableFamilyINet, "firewalld", "raw_PREROUTING", nftables.ChainHookPrerouting, -290, accept)
		},
		"Docker": func(c *nftables.Conn) {
			docker(c, "br-app", map[uint16]string{8080: "172.18.0.2:3000"})
			base(c, nftables.TableFamilyIPv4, "filter", "FORWARD", nftables.ChainHookForward, 0, accept, known)
		},
		"everything accepted at once": func(c *nftables.Conn) {
			for hook, at := range map[string]*nftables.ChainHook{"output": nftables.ChainHookOutput, "prerouting": nftables.ChainHookPrerouting, "input": nftables.ChainHookInput} {
				base(c, nftables.TableFamilyINet, "lax", hook, at, -1000, accept, let)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			needUsers(t)
			for _, first := range []string{"theirs first", "ours first"} {
				s := newStreet(t)
				s.listen("0.0.0.0:8000")
				s.listen("0.0.0.0:8001")
				if first == "theirs first" {
					s.firewall(others)
				}
				r := s.closed("127.0.0.1:8000")
				s.load(r)
				if first == "ours first" {
					s.firewall(others)
				}
				s.refused(www, "127.0.0.1:8000")
				s.refused(nobody, "10.1.0.1:8000")
				s.visitor.refused(root, "10.1.0.1:8000")
				s.passes(www, "127.0.0.1:8001")
				s.passes(root, "127.0.0.1:8000")
				s.visitor.passes(root, "10.1.0.1:8001")
				if err := s.table().Prove(t.Context(), r, users); err != nil {
					t.Errorf("%s: %v", first, err)
				}
				s.follows(r)
			}
		})
	}
}

// TestLostAndChanged has somebody else change the table: that is seen, and put right by loading it again.
func TestLostAndChanged(t *testing.T) {
	needUsers(t)
	h := newHost(t)
	h.listen("0.0.0.0:8000")
	r := h.closed("127.0.0.1:8000")
	own := h.table().table()
	chain := func(name string) *nftables.Chain { return &nftables.Chain{Table: own, Name: name} }
	for name, change := range map[string]func(*nftables.Conn){
		"all is flushed":     func(c *nftables.Conn) { c.FlushRuleset() },
		"deleted":            func(c *nftables.Conn) { c.DelTable(own) },
		"its rules are gone": func(c *nftables.Conn) { c.FlushTable(own) },
		"a chain is flushed": func(c *nftables.Conn) { c.FlushChain(chain("nginx_late")) },
		"a rule more": func(c *nftables.Conn) {
			c.InsertRule(&nftables.Rule{Table: own, Chain: chain("output"), Exprs: verdict(expr.VerdictAccept, "")})
		},
		"a chain more": func(c *nftables.Conn) {
			c.AddChain(&nftables.Chain{Table: own, Name: "more", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityLast})
		},
		"a user less": func(c *nftables.Conn) {
			_ = c.SetDeleteElements(kernelSet(own, usersSet), setElements([]string{userKey(www)}))
		},
		"another port": func(c *nftables.Conn) {
			_ = c.SetDeleteElements(kernelSet(own, of(nginxRefused, local)), setElements([]string{"\x1f\x40"}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			h.load(r)
			h.refused(www, "127.0.0.1:8000")
			h.firewall(change)
			s := h.read()
			if how, less := s.Differs(r); how == "" || !less {
				t.Errorf("nobody sees it: %q, less: %v", how, less)
			}
			if gone := strings.HasSuffix(name, "flushed") && strings.HasPrefix(name, "all") || name == "deleted"; s.There == gone {
				t.Errorf("there: %v", s.There)
			}
			h.load(r)
			h.refused(www, "127.0.0.1:8000")
			h.must(h.table().Prove(t.Context(), r, users))
		})
	}
}

// TestNotOurs finds a table of the name that is somebody else's, or owned by a program.
func TestNotOurs(t *testing.T) {
	h := newHost(t)
	r := h.closed("127.0.0.1:8000")
	theirs := h.table().table()
	refusesAll := func(t *testing.T) {
		t.Helper()
		_, err := h.table().Read(t.Context())
		for what, err := range map[string]error{
			"load": h.table().Load(t.Context(), r), "remove": h.table().Remove(t.Context()), "read": err,
			"probe": h.table().Probe(t.Context(), r), "prove": h.table().Prove(t.Context(), r, users),
		} {
			if !errors.Is(err, ErrNotOurs) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	t.Run("somebody else's", func(t *testing.T) {
		h.firewall(func(c *nftables.Conn) {
			c.AddTable(theirs)
			ch := c.AddChain(&nftables.Chain{Table: theirs, Name: "mine"})
			c.AddRule(&nftables.Rule{Table: theirs, Chain: ch, Exprs: []expr.Any{&expr.Counter{}}, UserData: []byte{0, 200, 'x'}})
		})
		refusesAll(t)
		h.firewall(func(c *nftables.Conn) { c.DelTable(theirs) })
	})
	t.Run("owned by a program", func(t *testing.T) {
		var program *netlink.Conn
		h.must(h.do(func() (err error) {
			program, err = netlink.Dial(unix.NETLINK_NETFILTER, nil)
			return err
		}))
		defer program.Close()
		owned := func(kind uint16, flags netlink.HeaderFlags, data ...netlink.Attribute) netlink.Message {
			b, err := netlink.MarshalAttributes(data)
			h.must(err)
			return netlink.Message{
				Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request | flags},
				Data:   append([]byte{unix.NFPROTO_INET, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES}, b...),
			}
		}
		_, err := program.SendMessages([]netlink.Message{
			owned(unix.NFNL_MSG_BATCH_BEGIN, 0),
			owned(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWTABLE, netlink.Create|netlink.Acknowledge,
				netlink.Attribute{Type: unix.NFTA_TABLE_NAME, Data: []byte(theirs.Name + "\x00")},
				netlink.Attribute{Type: unix.NFTA_TABLE_FLAGS, Data: binary.BigEndian.AppendUint32(nil, 2)}),
			owned(unix.NFNL_MSG_BATCH_END, 0),
		})
		h.must(err)
		_, err = program.Receive()
		h.must(err)
		refusesAll(t)
	})
}

// TestNobodyPassesDuringChanges loads, replaces and changes the table again and again while nginx tries to get
// through.
func TestNobodyPassesDuringChanges(t *testing.T) {
	needUsers(t)
	h := newHost(t)
	a := h.listen("0.0.0.0:8000")
	h.listen("127.0.0.1:8001")
	r := h.closed("127.0.0.1:8000")
	h.load(r)
	var stop atomic.Bool
	defer stop.Store(true)
	var busy sync.WaitGroup
	type worker struct {
		user  uint32
		tries atomic.Int64
		wrong map[string]int // how often it wasn't refused, by what it was told
	}
	all := []*worker{{user: www, wrong: map[string]int{}}, {user: nobody, wrong: map[string]int{}}}
	for _, w := range all {
		busy.Go(func() {
			err := h.Within(context.Background(), func() {}, func() error {
				for !stop.Load() {
					fd, err := h.open(w.user, "127.0.0.1:8000")
					w.tries.Add(1)
					if err == nil {
						unix.Close(fd)
					}
					if !errors.Is(err, unix.ECONNREFUSED) {
						w.wrong[fmt.Sprint(err)]++
					}
				}
				return nil
			})
			if err != nil {
				t.Errorf("user %d doesn't try: %v", w.user, err)
			}
		})
	}
	other := Site{Name: "other", Nginx: Refuse, Outside: Count, Ends: h.ends("127.0.0.1:8001")}
	for i := range 64 { // the same 8 changes again and again
		with := r
		if i%2 == 0 {
			with.Sites = append(with.Sites, other)
		}
		if i%4 == 0 {
			with.Exempt = []Cgroup{{Path: "/none", ID: uint64(1<<40 + i), Level: 1}}
		}
		if i%8 == 1 { // it has to be replaced as a whole
			h.firewall(func(c *nftables.Conn) {
				own := h.table().table()
				c.AddRule(&nftables.Rule{Table: own, Chain: &nftables.Chain{Table: own, Name: "nginx"}, Exprs: []expr.Any{&expr.Counter{}}})
			})
		}
		for _, w := range all {
			before := w.tries.Load()
			eventually(t, "nginx goes on trying", func() bool { return w.tries.Load() > before+10 })
		}
		h.must(h.table().Load(t.Context(), with))
	}
	stop.Store(true)
	busy.Wait()
	if a.got.Load() != 0 {
		t.Errorf("%d got through", a.got.Load())
	}
	for _, w := range all {
		if len(w.wrong) != 0 {
			t.Errorf("user %d wasn't refused at each of %d tries: %v", w.user, w.tries.Load(), w.wrong)
		}
		t.Logf("user %d: %d tries", w.user, w.tries.Load())
	}
}

// TestCountersGoOn sees that counters of one site go on while others come and go, and that those of before a site was
// refused are known.
func TestCountersGoOn(t *testing.T) {
	needUsers(t)
	h := newHost(t)
	h.listen("0.0.0.0:8000")
	r := h.closed("127.0.0.1:8000")
	r.Sites[0].Nginx = Count
	h.load(r)
	h.passes(www, "127.0.0.1:8000")
	h.passes(www, "127.0.0.1:8000")
	r.Sites[0].Nginx = Refuse
	h.load(r)
	h.refused(www, "127.0.0.1:8000")
	with := r
	with.Sites = append(with.Sites, Site{Name: "other", Nginx: Refuse, Ends: h.ends("127.0.0.1:8001")})
	h.load(with)
	h.load(r)
	h.load(r)
	got := h.read().Nginx(r.Sites[0])
	if got != (Traffic{Tried: 3, Refused: 1}) || got.Passed() != 2 {
		t.Errorf("counted %+v", got)
	}
}

// TestOnItsWay has the first packet of a connection wait for a place in the application's queue: when it is sent
// again it is refused. A connection that is there goes on.
func TestOnItsWay(t *testing.T) {
	needUsers(t)
	h := newHost(t)
	h.listen("127.0.0.1:8001")
	var there int
	h.must(h.Within(t.Context(), func() {}, func() (err error) {
		there, err = h.open(www, "127.0.0.1:8001")
		return err
	}))
	defer unix.Close(there)
	var full int
	h.must(h.do(func() (err error) {
		full, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = errors.Join(unix.Bind(full, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 8000}), unix.Listen(full, 0))
		}
		return err
	}))
	defer unix.Close(full)
	h.must(h.Within(t.Context(), func() {}, func() error { // the queue has room for one more than it is told
		fd, err := h.open(root, "127.0.0.1:8000")
		_ = fd
		return err
	}))
	eventually(t, "the queue is full", func() bool {
		out, err := h.output("ss", "-Hltn", "sport", "=", ":8000")
		queue := strings.Fields(string(out)) // state, how many wait, how many it is told
		return err == nil && len(queue) > 1 && queue[1] == "1"
	})
	result := make(chan error, 1)
	go func() { result <- h.dial(www, "127.0.0.1:8000") }()
	r := h.closed("127.0.0.1:8000", "127.0.0.1:8001")
	eventually(t, "the first packet is sent", func() bool {
		out, err := h.output("ss", "-Htn", "state", "syn-sent")
		return err == nil && len(bytes.TrimSpace(out)) > 0
	})
	h.load(r)
	if err := <-result; !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("not refused when sent again: %v", err)
	}
	if err := greet(there); err != nil {
		t.Errorf("the connection that was there: %v", err)
	}
	h.refused(www, "127.0.0.1:8001")
}

// TestNoProof has Prove find what is wrong.
func TestNoProof(t *testing.T) {
	needUsers(t)
	h := newHost(t)
	a := h.listen("0.0.0.0:8000")
	r := h.closed("127.0.0.1:8000", "127.0.0.1:8001") // where nobody listens, and the kernel itself refuses
	h.load(r)
	h.must(h.table().Prove(t.Context(), r, users))
	for name, c := range map[string]struct {
		in    func(r *Rules)
		users []User
		hints string
	}{
		"a worker whose user isn't in the table": {func(*Rules) {}, append([]User{{ID: other, Here: other}}, users...), "user 1000"},
		"no worker":                              {func(*Rules) {}, nil, "no worker"},
		"it only counts":                         {func(r *Rules) { r.Sites[0].Nginx = Count }, users, "127.0.0.1:8000"},
		"other ids":                              {func(r *Rules) { r.Users = []uint32{4711} }, users, "127.0.0.1:8000"},
	} {
		t.Run(name, func(t *testing.T) {
			was := a.got.Load()
			loaded := r
			loaded.Sites = []Site{r.Sites[0]}
			c.in(&loaded)
			h.load(loaded)
			err := h.table().Prove(t.Context(), r, c.users)
			if !errors.Is(err, ErrNotProven) || !strings.Contains(err.Error(), c.hints) {
				t.Errorf("proven: %v", err)
			}
			t.Log(err, a.got.Load()-was)
		})
	}
	t.Run("nobody listens, and the table does nothing", func(t *testing.T) {
		only := r
		only.Sites = []Site{{Name: "demo", Nginx: Refuse, Ends: h.ends("127.0.0.1:8001")}}
		loaded := only
		loaded.Users = []uint32{www} // nobody isn't kept out, while www tries all the time
		h.load(loaded)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			for ctx.Err() == nil {
				_ = h.dial(www, "127.0.0.1:8001")
			}
		}()
		if err := h.table().Prove(t.Context(), only, users); !errors.Is(err, ErrNotProven) {
			t.Errorf("proven: %v", err)
		}
	})
	t.Run("the table is gone", func(t *testing.T) {
		h.must(h.table().Remove(t.Context()))
		if err := h.table().Prove(t.Context(), r, users); !errors.Is(err, ErrNotProven) {
			t.Errorf("proven: %v", err)
		}
	})
}
