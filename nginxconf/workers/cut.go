package workers

import (
	"errors"
	"fmt"
	"syscall"
)

// ErrCantDestroy is returned (wrapped) by Destroy where the kernel doesn't destroy sockets for us: it was built
// without CONFIG_INET_DIAG_DESTROY, or this process lacks CAP_NET_ADMIN.
var ErrCantDestroy = errors.New("the kernel doesn't let us destroy sockets")

// Destroy ends a connection as if its peer had reset it (RFC 9293, 3.10.7.4): whoever holds the socket gets an error
// and closes it, and no other connection of that process is touched. One that is gone already is not an
// error. It acts in the network namespace of the connection's process.
func (s Sockets) Destroy(c Connection) error {
	err := destroy(Of(c.Process.PID), c)
	switch {
	case errors.Is(err, ErrNoNamespace):
		return nil // it went with its process
	case errors.Is(err, ErrCantEnter):
		return fmt.Errorf("destroy a socket: %w: %w", ErrCantDestroy, err)
	case err != nil:
		return fmt.Errorf("destroy a socket: %w", err)
	}
	return nil
}

// ShutDown tells a worker to take no more connections, and to end once those that it has are served: its master tells
// it so at a reload (https://nginx.org/en/docs/control.html). A process that is gone, or that is another one by now,
// is left alone.
func (s Sockets) ShutDown(p Process) error { return s.signal(p, syscall.SIGQUIT) }

// End tells a worker to end, with all that it holds: first by SIGTERM, and, when hard is set, by SIGKILL, which also
// ends one that is stopped. A process that is gone, or that is another one by now, is left alone.
func (s Sockets) End(p Process, hard bool) error {
	if hard {
		return s.signal(p, syscall.SIGKILL)
	}
	return s.signal(p, syscall.SIGTERM)
}

func (s Sockets) signal(p Process, signal syscall.Signal) error {
	same, err := s.alive(p)
	if err != nil || !same {
		return err
	}
	if err := syscall.Kill(p.PID, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end worker %d: %w", p.PID, err)
	}
	return nil
}

// alive reports whether the process is still there, and still the same.
func (s Sockets) alive(p Process) (bool, error) {
	fs, err := s.fs()
	if err != nil {
		return false, err
	}
	proc, err := fs.Proc(p.PID)
	if err != nil {
		return false, nil
	}
	stat, err := proc.Stat()
	return err == nil && stat.Starttime == p.Start && stat.State != "Z", nil
}
