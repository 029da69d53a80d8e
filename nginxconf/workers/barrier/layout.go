//go:build linux

package barrier

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"path/filepath"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// proofPriority marks the packets of Prove, by SO_PRIORITY of socket(7): they are not counted among those of nginx.
const proofPriority = 0xc0f0a11d

// Name returns the name of the table of the configuration with that state directory. The directory is taken as it is
// written: it needn't exist.
func Name(stateDir string) string {
	sum := sha256.Sum256([]byte(filepath.Clean(stateDir)))
	return namePrefix + hex.EncodeToString(sum[:6])
}

const namePrefix = "conforma_status_"

// comment is what each rule says of itself, and by which a table is known to be ours: it names the state directory.
func comment(stateDir string) string { return commentPrefix + shortened(filepath.Clean(stateDir)) }

const commentPrefix = "conforma-status "

// shortened keeps a comment below the 255 bytes that nf_tables has room for, by its end, which tells more.
func shortened(s string) string {
	const most = 128 - len(commentPrefix) // what nft takes when it reads a ruleset
	if len(s) > most {
		return "..." + s[len(s)-most+3:]
	}
	return s
}

// kind is a kind of end, each with sets of its own.
type kind struct {
	name  string
	proto byte   // of IP, 0 for any
	at    uint32 // where the destination is in the header, and how long
	size  uint32
	typ   nftables.SetDatatype
}

var (
	v4 = kind{"v4", unix.NFPROTO_IPV4, 16, 4, nftables.TypeIPAddr}
	v6 = kind{"v6", unix.NFPROTO_IPV6, 24, 16, nftables.TypeIP6Addr}
	// local is a port at any address of this machine.
	local = kind{name: "local"}
	kinds = []kind{v4, v6, local}
)

// The sets that are there of each kind, and of which of them the elements have counters.
const (
	nginxTried     = "nginx_tried"     // by nginx: counted
	nginxRefused   = "nginx_refused"   // by nginx: refused, and counted
	nginxProven    = "nginx_proven"    // refused to Prove, and counted
	outsideTried   = "outside_tried"   // from outside: counted
	outsideRefused = "outside_refused" // from outside: refused, and counted
	inside         = "inside"          // by interface: not from outside
)

const usersSet = "users"

// set is what a set is made of.
type set struct {
	kind    kind
	iface   bool // its keys begin with a network interface
	counted bool
}

func (s set) keyType() (t nftables.SetDatatype, concatenation bool) {
	parts := []nftables.SetDatatype{nftables.TypeInetService}
	if s.kind.size > 0 {
		parts = append([]nftables.SetDatatype{s.kind.typ}, parts...)
	}
	if s.iface {
		parts = append([]nftables.SetDatatype{nftables.TypeIFName}, parts...)
	}
	if len(parts) == 1 {
		return parts[0], false
	}
	return nftables.MustConcatSetType(parts...), true
}

// sets are those of the table, by name, but for that of the users.
var sets = func() map[string]set {
	all := map[string]set{}
	for _, k := range kinds {
		for _, name := range []string{nginxTried, nginxRefused, nginxProven, outsideTried, outsideRefused} {
			all[of(name, k)] = set{kind: k, counted: true}
		}
		all[of(inside, k)] = set{kind: k, iface: true}
	}
	return all
}()

func of(name string, k kind) string { return name + "_" + k.name }

// elements are the keys of each set.
type elements map[string]map[string]bool

func (e elements) add(set, key string) {
	if e[set] == nil {
		e[set] = map[string]bool{}
	}
	e[set][key] = true
}

// key is how the kernel writes an end of a kind: each part in whole words of 4 bytes where there are several.
func key(k kind, end netip.AddrPort) string {
	port := string(binaryutil.BigEndian.PutUint16(end.Port()))
	if k.size == 0 {
		return port
	}
	return string(end.Addr().AsSlice()) + port + "\x00\x00"
}

// keyInside is key, behind the name of an interface.
func keyInside(iface string, k kind, end netip.AddrPort) string {
	return ifname(iface) + (key(k, end) + "\x00\x00")[:k.size+4]
}

// ifname is the name of an interface as the kernel writes it.
func ifname(name string) string {
	var fixed [unix.IFNAMSIZ]byte
	copy(fixed[:unix.IFNAMSIZ-1], name)
	return string(fixed[:])
}

func userKey(id uint32) string { return string(binaryutil.NativeEndian.PutUint32(id)) }

// kind is the kind of set that an end is in.
func (e End) kind() kind {
	switch {
	case e.Anywhere:
		return local
	case e.Addr.Addr().Is4():
		return v4
	}
	return v6
}

// elements are what the sets hold for the rules.
func (r Rules) elements() elements {
	out := elements{}
	for _, id := range r.Users {
		out.add(usersSet, userKey(id))
	}
	for _, s := range r.Sites {
		for _, end := range s.Ends {
			k := end.kind()
			at := key(k, end.Addr)
			if s.Nginx >= Count {
				out.add(of(nginxTried, k), at)
			}
			if s.Nginx >= Refuse {
				out.add(of(nginxRefused, k), at)
				out.add(of(nginxProven, k), at)
			}
			if s.Outside >= Count {
				out.add(of(outsideTried, k), at)
			}
			if s.Outside >= Refuse {
				out.add(of(outsideRefused, k), at)
			}
			if end.Inside != "" && s.Outside >= Count {
				out.add(of(inside, k), keyInside(end.Inside, k, end.Addr))
			}
		}
	}
	return out
}

// chain is a chain of the table with its rules, in their order.
type chain struct {
	name     string
	hook     *nftables.ChainHook // nil for one that others jump to
	priority *nftables.ChainPriority
	rules    [][]expr.Any
}

// chains are those of the table, except what is in the one that exempts. They are the same for all rules.
//
// A connection is looked at where it begins, before any translation of addresses and before conntrack(8) (priority
// raw). It is looked at once more where addresses are translated and fragments are put together: somebody else's DNAT
// may lead to an upstream, too.
func chains() []chain {
	const toNginx, toNginxLate, toOutside, toOutsideLate, toReset = "nginx", "nginx_late", "outside", "outside_late", "refuse"
	fromNginx := func(to string) [][]expr.Any {
		return [][]expr.Any{
			rule(tcpOpens(), byUser(), verdict(expr.VerdictJump, exemptChain)),
			rule(tcpOpens(), byUser(), verdict(expr.VerdictJump, to)),
		}
	}
	fromOutside := func(to string) [][]expr.Any {
		return [][]expr.Any{rule(tcpOpens(), notLoopback(), verdict(expr.VerdictJump, to))}
	}
	nginx := chain{name: toNginx}
	nginxLate := chain{name: toNginxLate}
	outside := chain{name: toOutside}
	outsideLate := chain{name: toOutsideLate}
	reset := chain{name: toReset}
	for _, k := range kinds {
		accept, refuse := verdict(expr.VerdictAccept, ""), verdict(expr.VerdictGoto, toReset)
		outside.add(in(set{kind: k, iface: true}, inside), accept)
		outsideLate.add(in(set{kind: k, iface: true}, inside), accept)
		nginx.add(proof(expr.CmpOpNeq), in(set{kind: k}, nginxTried))
		outsideLate.add(in(set{kind: k}, outsideRefused), refuse)
		nginxLate.add(in(set{kind: k}, nginxRefused), refuse)
		reset.add(proof(expr.CmpOpEq), in(set{kind: k}, nginxProven))
	}
	for _, k := range kinds {
		outside.add(in(set{kind: k}, outsideTried))
	}
	nginx.add(verdict(expr.VerdictJump, toNginxLate))
	outside.add(verdict(expr.VerdictJump, toOutsideLate))
	reset.add([]expr.Any{&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}})
	return []chain{
		reset, {name: exemptChain}, nginxLate, nginx, outsideLate, outside,
		{"output", nftables.ChainHookOutput, nftables.ChainPriorityRaw, fromNginx(toNginx)},
		{"output_late", nftables.ChainHookOutput, nftables.ChainPriorityFilter, fromNginx(toNginxLate)},
		{"prerouting", nftables.ChainHookPrerouting, nftables.ChainPriorityRaw, fromOutside(toOutside)},
		{"input", nftables.ChainHookInput, nftables.ChainPriorityFilter, fromOutside(toOutsideLate)},
		{"forward", nftables.ChainHookForward, nftables.ChainPriorityFilter, fromOutside(toOutsideLate)},
	}
}

// exemptChain is the chain with the rules for what is exempt.
const exemptChain = "exempt"

// exempt are its rules.
func (r Rules) exempt() [][]expr.Any {
	var out [][]expr.Any
	for _, c := range r.Exempt {
		out = append(out, rule(inCgroup(c), verdict(expr.VerdictAccept, "")))
	}
	return out
}

func (c *chain) add(parts ...[]expr.Any) { c.rules = append(c.rules, rule(parts...)) }

func rule(parts ...[]expr.Any) []expr.Any { return slices.Concat(parts...) }

// What rules are made of, as nft itself writes it, so that it can list them.

func meta(key expr.MetaKey, op expr.CmpOp, value []byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: op, Register: 1, Data: value}}
}

func isTCP() []expr.Any {
	return meta(expr.MetaKeyL4PROTO, expr.CmpOpEq, []byte{unix.IPPROTO_TCP})
}

// tcpOpens matches the first packet of a connection: SYN without ACK (RFC 9293, 3.5).
func tcpOpens() []expr.Any {
	const syn, ack = 0x02, 0x10
	return append(isTCP(),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{syn | ack}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{syn}})
}

func byUser() []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeySKUID, Register: 1}, &expr.Lookup{SourceRegister: 1, SetName: usersSet}}
}

func inCgroup(c Cgroup) []expr.Any {
	return []expr.Any{
		&expr.Socket{Key: expr.SocketKeyCgroupv2, Level: c.Level, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint64(c.ID)},
	}
}

func notLoopback() []expr.Any {
	return meta(expr.MetaKeyIIFNAME, expr.CmpOpNeq, []byte(ifname("lo")))
}

func proof(op expr.CmpOp) []expr.Any {
	return meta(expr.MetaKeyPRIORITY, op, binaryutil.NativeEndian.PutUint32(proofPriority))
}

func verdict(kind expr.VerdictKind, to string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: kind, Chain: to}}
}

// in matches what is in the set of that name.
func in(s set, name string) []expr.Any {
	var load []expr.Any
	if s.kind.size > 0 {
		load = meta(expr.MetaKeyNFPROTO, expr.CmpOpEq, []byte{s.kind.proto})
	} else {
		load = []expr.Any{
			&expr.Fib{Register: 1, ResultADDRTYPE: true, FlagDADDR: true},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
		}
	}
	load = append(load, isTCP()...)
	word := uint32(0)
	if s.iface {
		load = append(load, &expr.Meta{Key: expr.MetaKeyIIFNAME, Register: register(word)})
		word += unix.IFNAMSIZ / 4
	}
	if s.kind.size > 0 {
		load = append(load, &expr.Payload{DestRegister: register(word), Base: expr.PayloadBaseNetworkHeader, Offset: s.kind.at, Len: s.kind.size})
		word += s.kind.size / 4
	}
	load = append(load, &expr.Payload{DestRegister: register(word), Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2})
	return append(load, &expr.Lookup{SourceRegister: register(0), SetName: of(name, s.kind)})
}

// register is the one that begins at a word of 4 bytes, by the name that the kernel gives it when it lists a rule.
func register(word uint32) uint32 {
	if word%4 == 0 {
		return unix.NFT_REG_1 + word/4
	}
	return unix.NFT_REG32_00 + word
}

// ruleComment is a comment as nft writes it beside a rule.
func ruleComment(text string) []byte { return userdata.AppendString(nil, userdata.TypeComment, text) }
