package gate

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// stale leaves a socket on which nobody listens, as a killed gate does.
func stale(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestListen(t *testing.T) {
	dir := shortDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	longest := filepath.Join(dir, strings.Repeat("x", maxSocketPath-len(dir)-1))
	file := write(t, filepath.Join(dir, "file"), "precious", 0o600)
	for _, tt := range []struct {
		name, path string
		prepare    func(path string)
		want       string // a part of the error; "" is none
	}{
		{"new", filepath.Join(dir, "a.sock"), nil, ""},
		{"in a directory that is missing", filepath.Join(dir, "new", "a.sock"), nil, ""},
		{"in two that are", filepath.Join(dir, "x", "y", "a.sock"), nil, "no such file or directory"},
		{"stale", filepath.Join(dir, "stale.sock"), func(path string) { stale(t, path) }, ""},
		{"the longest path", longest, nil, ""},
		{"one longer", longest + "x", nil, "108 bytes long"},
		{"relative", "gate.sock", nil, "not an absolute path"},
		{"abstract", "@gate", nil, "not an absolute path"},
		{"empty", "", nil, "not an absolute path"},
		{"a file in its place", file, nil, "not a socket"},
		{"a directory in its place", dir, nil, "not a socket"},
		{"a file for a directory", filepath.Join(file, "a.sock"), nil, "not a directory"},
		{"a link in its place", filepath.Join(dir, "link"), func(path string) {
			if err := os.Symlink(file, path); err != nil {
				t.Fatal(err)
			}
		}, "not a socket"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.prepare != nil {
				tt.prepare(tt.path)
			}
			l, err := Listen(tt.path)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "listen on "+tt.path+": ") {
					t.Errorf("got %v, want %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(tt.path); err != nil || info.Mode().Perm() != 0o666 {
				t.Errorf("the socket: %v, %v", info.Mode(), err)
			}
			if info, err := os.Stat(filepath.Dir(tt.path)); err != nil || info.Mode().Perm() != 0o755 {
				t.Errorf("its directory: %v, %v", info.Mode(), err)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(tt.path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("closing left the socket: %v", err)
			}
		})
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "precious" {
		t.Errorf("the file is now %q, %v", text, err)
	}
}

func TestTwoGates(t *testing.T) {
	_, logger := newLog()
	path, stop := start(t, testSites(), logger)
	if l, err := Listen(path); !errors.Is(err, ErrInUse) {
		t.Fatalf("a second gate: %v, %v", l, err)
	}
	good := mint(goodHeader, adminClaims(), testSecret)
	if got := ask(t, clientOf(t, path), "demo", good); got != 204 {
		t.Errorf("the first one then answers %d", got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(path)
	if err != nil {
		t.Fatalf("after the first one has stopped: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// One whose socket was removed leaves that of the gate that was started after it in its place.
func TestGateWhoseSocketWasRemoved(t *testing.T) {
	path := filepath.Join(shortDir(t), "gate.sock")
	first, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the second one can't be reached: %v", err)
	}
	_ = conn.Close()
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

// Of gates that start at once, on a stale socket, one gets it, and it is the one that can be reached.
func TestGatesThatStartAtOnce(t *testing.T) {
	dir := shortDir(t)
	for round := range 20 {
		path := filepath.Join(dir, "gate.sock")
		stale(t, path)
		var group sync.WaitGroup
		var won atomic.Pointer[net.Listener]
		for range 8 {
			group.Go(func() {
				l, err := Listen(path)
				if err != nil {
					if !errors.Is(err, ErrInUse) {
						t.Errorf("round %d: %v", round, err)
					}
					return
				}
				if !won.CompareAndSwap(nil, &l) {
					t.Errorf("round %d: two listen", round)
					_ = l.Close()
				}
			})
		}
		group.Wait()
		if won.Load() == nil {
			t.Fatalf("round %d: nobody listens", round)
		}
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		_ = conn.Close()
		if err := (*won.Load()).Close(); err != nil {
			t.Error(err)
		}
	}
}

// What has begun is answered, a connection that nginx keeps is closed, and the socket is gone.
func TestServeStops(t *testing.T) {
	path := filepath.Join(shortDir(t), "gate.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	entered, leave := make(chan struct{}), make(chan struct{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.RequestURI == "/slow" {
			close(entered)
			<-leave
		}
		w.WriteHeader(http.StatusNoContent)
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, l, slow) }()

	open := func(target string) net.Conn {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := io.WriteString(conn, "GET "+target+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	status := func(conn net.Conn) *bufio.Reader {
		reader := bufio.NewReader(conn)
		response, err := http.ReadResponse(reader, nil)
		if err != nil || response.StatusCode != http.StatusNoContent {
			t.Fatalf("got %v, %v", response, err)
		}
		return reader
	}
	idle := status(open("/quick"))
	waiting := open("/slow")
	<-entered
	cancel()
	if _, err := idle.ReadByte(); err != io.EOF {
		t.Errorf("the idle connection: %v", err)
	}
	if _, err := net.Dial("unix", path); err == nil {
		t.Error("it still listens")
	}
	select {
	case err := <-ended:
		t.Fatalf("it ended before its last answer: %v", err)
	default:
	}
	close(leave)
	status(waiting)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket: %v", err)
	}
}

// spied says when it has accepted a connection, and when it is closed.
type spied struct {
	net.Listener
	accepted, closed chan struct{}
	once             sync.Once
}

func (s *spied) Accept() (net.Conn, error) {
	conn, err := s.Listener.Accept()
	if err == nil {
		s.accepted <- struct{}{}
	}
	return conn, err
}

func (s *spied) Close() error {
	defer s.once.Do(func() { close(s.closed) })
	return s.Listener.Close()
}

// Who was accepted before the gate is told to stop, and asks after it, is answered: nginx doesn't ask again.
func TestServeAnswersWhoAsksLate(t *testing.T) {
	path := filepath.Join(shortDir(t), "gate.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := &spied{Listener: l, accepted: make(chan struct{}, 1), closed: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, s, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	}()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	<-s.accepted
	cancel()
	<-s.closed
	if _, err := io.WriteString(conn, "GET /check/demo HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || response.StatusCode != http.StatusNoContent {
		t.Errorf("got %v, %v", response, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestServeEndsWithItsListener(t *testing.T) {
	l, err := Listen(filepath.Join(shortDir(t), "gate.sock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Serve(context.Background(), l, http.NotFoundHandler()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestServeOfOneWhoIsAlreadyDone(t *testing.T) {
	path := filepath.Join(shortDir(t), "gate.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Serve(ctx, l, http.NotFoundHandler()); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket: %v", err)
	}
}
