//go:build linux

package workers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// IsOurs reports whether n is the network namespace of this process.
func (n Network) IsOurs() (bool, error) {
	if n.pid == 0 {
		return true, nil
	}
	theirs, err := os.Stat(n.File())
	if errors.Is(err, fs.ErrNotExist) {
		return false, ErrNoNamespace
	}
	if errors.Is(err, fs.ErrPermission) {
		return false, fmt.Errorf("%w (%w)", ErrCantEnter, err)
	}
	if err != nil {
		return false, err
	}
	ours, err := os.Stat("/proc/self/ns/net")
	return err == nil && os.SameFile(theirs, ours), err
}

// Within has f called by a thread of its own, in the namespace. The thread ends with it: whatever f makes of it, such
// as another user id, is nobody else's. At the end of it all, with f called or not, after is called. Where ctx ends
// before f does, Within returns an error that wraps ErrNoAnswer, and f goes on.
func (n Network) Within(ctx context.Context, after func(), f func() error) error {
	done := make(chan error, 1)
	OnThread(func() {
		defer after()
		done <- func() error {
			if err := n.enter(); err != nil {
				return err
			}
			return f()
		}()
	})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrNoAnswer, ctx.Err())
	}
}

// OnThread has f called by a thread that ends with it.
func OnThread(f func()) {
	go func() {
		runtime.LockOSThread() // and never unlocked: the runtime ends the thread then
		if unix.Gettid() != unix.Getpid() {
			f()
			return
		}
		// The main thread stays as it is: it ends with the process only, and the process is what it is seen as in
		// /proc/self. While this goroutine holds it, another one has to take another thread.
		another := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(another)
			f()
		}()
		<-another
		runtime.UnlockOSThread()
	}()
}

// enter has this thread enter the namespace.
func (n Network) enter() error {
	if ours, err := n.IsOurs(); err != nil || ours {
		return err
	}
	fd, err := unix.Open(n.File(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoNamespace
	}
	if err == nil {
		defer unix.Close(fd)
		err = unix.Setns(fd, unix.CLONE_NEWNET)
	}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%w (%w)", ErrCantEnter, err)
	}
	return err
}
