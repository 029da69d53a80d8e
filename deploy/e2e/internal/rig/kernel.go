package rig

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// oldKernelEnv has a test binary that calls Main run the command in its arguments instead, see OldKernel.
const oldKernelEnv = "CONFORMA_STATUS_RIG_OLD_KERNEL"

// OldKernel is the command that runs another one on what looks like a kernel that can't be asked about sockets: one
// that was built without CONFIG_INET_DIAG, or can't load that module. It needs a TestMain that calls Main.
func OldKernel(tb testing.TB) []string {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatalf("rig: find the test binary: %v", err)
	}
	return []string{"env", oldKernelEnv + "=1", self}
}

// runOnOldKernel becomes the command. It returns only where that fails.
func runOnOldKernel(argv []string) error {
	// A filter of seccomp(2), in the words of bpf: struct seccomp_data begins with the number of the call, and holds the
	// lower half of each argument at 16, 24, and 32.
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	unless := func(value uint32, skip uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: value, Jf: skip}
	}
	answer := func(value uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: value} }
	filter := []unix.SockFilter{
		load(0), unless(unix.SYS_SOCKET, 5),
		load(16), unless(unix.AF_NETLINK, 3),
		load(32), unless(unix.NETLINK_INET_DIAG, 1),
		answer(unix.SECCOMP_RET_ERRNO | uint32(unix.EPROTONOSUPPORT)),
		answer(unix.SECCOMP_RET_ALLOW),
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return fmt.Errorf("set the filter: %w", errno)
	}
	env := os.Environ()
	for i := range env {
		if env[i] == oldKernelEnv+"=1" {
			env[i] = oldKernelEnv + "="
		}
	}
	return syscall.Exec(argv[0], argv, env)
}
