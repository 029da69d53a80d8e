package workers

import (
	"errors"
	"os"
	"strconv"
)

// Errors about network namespaces. They are returned wrapped: test with errors.Is.
var (
	// ErrCantEnter is returned where nginx runs in a network namespace that this process can't enter.
	ErrCantEnter = errors.New("nginx's network namespace can't be entered: CAP_SYS_ADMIN is needed")
	// ErrNoNamespace is returned where the process whose network namespace is meant is gone.
	ErrNoNamespace = errors.New("the network namespace is gone: its process has ended")
	// ErrNoAnswer is returned where the kernel hasn't answered in time. What was asked may still happen.
	ErrNoAnswer = errors.New("the kernel doesn't answer")
)

// Network is a network namespace (network_namespaces(7)). The zero value is that of this process.
type Network struct {
	pid int
}

// Of returns the network namespace of a process, which has to live for as long as it is used. 0 stands for this
// process.
func Of(pid int) Network { return Network{pid} }

// Process is the process id that Of was given, or that of this process.
func (n Network) Process() int {
	if n.pid == 0 {
		return os.Getpid()
	}
	return n.pid
}

// IsZero reports whether n is the zero value: that of this process, whatever other processes have.
func (n Network) IsZero() bool { return n.pid == 0 }

// File is the path by which the namespace is entered.
func (n Network) File() string {
	if n.pid == 0 {
		return "/proc/self/ns/net"
	}
	return "/proc/" + strconv.Itoa(n.pid) + "/ns/net"
}
