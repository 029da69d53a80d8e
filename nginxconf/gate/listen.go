package gate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// ErrInUse is returned (wrapped) by Listen when another gate answers on the socket, or is just starting to.
var ErrInUse = errors.New("another gate answers there")

// maxSocketPath is the longest path of a unix socket in bytes (unix(7): 108 with the NUL).
const maxSocketPath = 107

// Listen opens the unix socket at path, which must be absolute and at most 107 bytes long. It makes the directory
// if only that is missing (0755: nginx's workers have to enter it) and replaces a socket on which nobody answers.
// It returns an error wrapping ErrInUse where somebody does, and never removes anything but a socket.
//
// Every user may connect (0666): nginx's workers are another user than the gate, and which one is the operator's
// choice. All that there is to learn is whether a token, which the one who asks must have already, is good. Closing
// the listener removes the socket.
func Listen(path string) (net.Listener, error) {
	l, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return l, nil
}

func listen(path string) (net.Listener, error) {
	if !filepath.IsAbs(path) {
		return nil, errors.New("not an absolute path")
	}
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("%d bytes long, a socket's path can have %d", len(path), maxSocketPath)
	}
	dir, err := openDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer dir.Close() // and with it the lock
	// Of two gates that start at once on a stale socket, the second would remove what the first has just opened.
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrInUse
		}
		return nil, fmt.Errorf("lock %s: %w", dir.Name(), err)
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	own, err := os.Lstat(path)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	return &listener{Listener: l, path: path, own: own}, nil
}

// listener removes its socket when it is closed, and no other: where somebody has removed it before, another gate
// may have put its own in its place.
type listener struct {
	net.Listener
	path string
	own  fs.FileInfo
	once sync.Once
}

func (l *listener) Close() error {
	l.once.Do(func() {
		if info, err := os.Lstat(l.path); err == nil && os.SameFile(info, l.own) {
			_ = os.Remove(l.path) // one that is left is stale, and replaced
		}
	})
	return l.Listener.Close()
}

// openDir opens the directory at path for reading, and makes it first where it is missing.
func openDir(path string) (*os.File, error) {
	err := os.Mkdir(path, 0o755)
	if err == nil {
		err = os.Chmod(path, 0o755) // whatever the umask
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.Open(path)
}

// removeStale removes a socket that nobody listens on any more.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("something that is not a socket is in its place")
	}
	conn, err := net.Dial("unix", path)
	switch {
	case err == nil:
		return errors.Join(ErrInUse, conn.Close())
	case errors.Is(err, syscall.EAGAIN): // so many wait that no more may: it is busy, not dead
		return ErrInUse
	case !errors.Is(err, syscall.ECONNREFUSED):
		return err
	}
	return os.Remove(path)
}

const (
	// maxHeader leaves room for a token of maxToken and for what an operator adds to nginx's limit.
	maxHeader = 64 << 10
	// readTimeout is for a request that has begun and writeTimeout for its answer: nginx is on the same machine.
	readTimeout  = 5 * time.Second
	writeTimeout = 5 * time.Second
	// idleTimeout is longer than the 60 s for which nginx keeps a connection to an upstream, so that it is never the
	// gate that closes one on which nginx is just asking.
	idleTimeout = 5 * time.Minute
	// stopTimeout is how long checks that have begun may take to end once the gate is to stop.
	stopTimeout = 5 * time.Second
)

// Serve answers with h on l, over HTTP/1 only, until ctx is done. Then it stops listening, which removes the
// socket, lets what it has begun end for at most 5 s, and returns nil, or the error of not having come to an end.
// It returns earlier, with an error, when l fails.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	server := &http.Server{
		Handler:           h,
		Protocols:         protocols,
		MaxHeaderBytes:    maxHeader,
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
	}
	var conns sync.WaitGroup
	server.ConnState = func(_ net.Conn, is http.ConnState) {
		switch is {
		case http.StateNew:
			conns.Add(1)
		case http.StateClosed, http.StateHijacked:
			conns.Done()
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return errors.Join(fmt.Errorf("serve on %s: %w", l.Addr(), err), server.Close())
	case <-ctx.Done():
	}
	// Not Shutdown: it hangs up on who was accepted and asks from now on (net/http's conn.serve), and nginx doesn't ask
	// again on a connection that was new.
	_ = l.Close()
	server.SetKeepAlivesEnabled(false) // which closes those that are idle
	<-ended
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	answered := make(chan struct{})
	go func() { conns.Wait(); close(answered) }()
	select {
	case <-answered:
		return server.Close()
	case <-bounded.Done():
		return errors.Join(fmt.Errorf("stop serving on %s: %w", l.Addr(), bounded.Err()), server.Close())
	}
}
