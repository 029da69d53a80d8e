package rig

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// Activated is a gate that systemd-socket-activate starts when somebody connects.
type Activated struct {
	Socket string
	proc   *process
}

// SocketActivate has the gate started by the first connection to the host's socket, with these lines in its
// environment.
func (h *Host) SocketActivate(tb testing.TB, env ...string) *Activated {
	tb.Helper()
	return h.SocketActivateAt(tb, h.Socket(), env...)
}

// SocketActivateAt is SocketActivate at another socket.
func (h *Host) SocketActivateAt(tb testing.TB, socket string, env ...string) *Activated {
	tb.Helper()
	args := []string{"-l", socket}
	for _, line := range append(h.Env(), env...) {
		args = append(args, "-E", line)
	}
	a := &Activated{Socket: socket, proc: startProcess(tb, exec.Command("systemd-socket-activate", append(args, Binary(tb), "gate")...))}
	WaitFor(tb, "systemd-socket-activate to listen", func() bool {
		if a.proc.hasExited() {
			tb.Fatalf("rig: systemd-socket-activate ended:\n%s", a.Output(tb))
		}
		// To connect would start it, and the socket is in its place a moment before it listens.
		return strings.Contains(a.Output(tb), "Listening on "+socket)
	})
	return a
}

// Terminate ends the gate as systemd does.
func (a *Activated) Terminate(tb testing.TB) {
	tb.Helper()
	a.proc.stop(tb, syscall.SIGTERM, Patience)
}

// Output returns all that it has written.
func (a *Activated) Output(tb testing.TB) string { return a.proc.output(tb) }
