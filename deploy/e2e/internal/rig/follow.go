package rig

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// Follower is a running "conforma-status follow".
type Follower struct{ proc *process }

// StartFollow starts the host's agent. It may not have read anything yet.
func (h *Host) StartFollow(tb testing.TB) *Follower {
	tb.Helper()
	return &Follower{startProcess(tb, h.command(tb, "follow"))}
}

// Kill ends it as kill -9 does, and waits for that.
func (f *Follower) Kill(tb testing.TB) {
	tb.Helper()
	f.proc.stop(tb, syscall.SIGKILL, Patience)
}

// Output is what it has written so far.
func (f *Follower) Output(tb testing.TB) string {
	tb.Helper()
	data, err := os.ReadFile(f.proc.log)
	if err != nil {
		tb.Fatalf("rig: read what the agent wrote: %v", err)
	}
	return strings.TrimSpace(string(data))
}
