package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// TestStuck: a file system that doesn't answer, as a named pipe nobody writes to doesn't, is given up in time.
func TestStuck(t *testing.T) {
	root, err := os.MkdirTemp("", "stuck-")
	must(t, err)
	t.Cleanup(func() { // what was given up may still write, until its directory is gone
		for os.RemoveAll(root) != nil {
			runtime.Gosched()
		}
	})
	must(t, os.Mkdir(filepath.Join(root, "demo"), 0o755))
	pipe := filepath.Join(root, "demo", "status.json")
	must(t, syscall.Mkfifo(pipe, 0o600))
	t.Cleanup(func() { // whoever still waits goes on
		f, err := os.OpenFile(pipe, os.O_RDWR, 0)
		must(t, err)
		f.Close()
	})
	s := &timely{dirAt(root), 20 * time.Millisecond}
	_, _, getErr := s.Get(t.Context(), "demo/status.json")
	_, putErr := s.Put(t.Context(), "demo/status.json", []byte("x"), Meta{}, Always())
	for verb, err := range map[string]error{"get": getErr, "put": putErr} {
		if !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || Hint(err) == "" {
			t.Errorf("%s: %v (hint: %s)", verb, err, Hint(err))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.List(ctx, ""); !errors.Is(err, ErrUnavailable) && !errors.Is(err, context.Canceled) {
		t.Errorf("list: %v", err)
	}
}
