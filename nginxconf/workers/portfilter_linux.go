package workers

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"
)

// INET_DIAG_REQ_BYTECODE of linux/inet_diag.h, and of its instructions INET_DIAG_BC_*: struct inet_diag_bc_op.
const (
	diagByteCode  = 1
	jump          = 1
	localAtLeast  = 2
	localAtMost   = 3
	remoteAtLeast = 4
	remoteAtMost  = 5
	// Sizes in bytes. The second instruction of a comparison has the port that the first compares with.
	instruction = 4
	comparison  = 2 * instruction
	alternative = 2*comparison + instruction
)

// portFilter is the attribute of a request that has the kernel list only sockets that listen, which have no remote
// port, and those that have one of the ports at either end. There may be others among them. It is empty, for all
// sockets, where ports is nil.
func portFilter(ports []uint16) []byte {
	if ports == nil {
		return nil
	}
	type between struct {
		atLeast, atMost uint8
		portRange
	}
	all := []between{{remoteAtLeast, remoteAtMost, portRange{0, 0}}}
	for _, r := range rangesOf(ports) {
		all = append(all, between{localAtLeast, localAtMost, r}, between{remoteAtLeast, remoteAtMost, r})
	}
	out := make([]byte, unix.SizeofRtAttr, unix.SizeofRtAttr+len(all)*alternative)
	add := func(code uint8, yes, no int, port uint16) {
		out = binary.NativeEndian.AppendUint16(append(out, code, uint8(yes)), uint16(no))
		if code != jump {
			out = binary.NativeEndian.AppendUint16(append(out, 0, 0), port)
		}
	}
	// The kernel lists a socket that gets to the very end, and no socket that jumps beyond it.
	for i, b := range all {
		next, end := alternative, (len(all)-i)*alternative
		if next == end {
			next += instruction
		}
		add(b.atLeast, comparison, next, b.first)
		add(b.atMost, comparison, next-comparison, b.last)
		add(jump, instruction, end-2*comparison, 0)
	}
	binary.NativeEndian.PutUint16(out, uint16(len(out)))
	binary.NativeEndian.PutUint16(out[2:], diagByteCode)
	return out
}

// mostRanges keeps the kernel from comparing each socket with the ports of hundreds of sites.
const mostRanges = 32

type portRange struct{ first, last uint16 }

// rangesOf are ranges that have all of those ports. Where there would be too many, they have those between too.
func rangesOf(ports []uint16) []portRange {
	sorted := slices.Compact(slices.Sorted(slices.Values(ports)))
	for gap := 1; ; gap *= 2 {
		var out []portRange
		for _, p := range sorted {
			if last := len(out) - 1; last >= 0 && int(p)-int(out[last].last) <= gap {
				out[last].last = p
			} else {
				out = append(out, portRange{p, p})
			}
		}
		if len(out) <= mostRanges {
			return out
		}
	}
}
