package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
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
	s := &dirStore{root: root, lockWait: time.Minute, limits: limits{timeout: time.Millisecond}}
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

// TestWithin: what ends in time, or within the grace that follows, has the last word.
func TestWithin(t *testing.T) {
	l := limits{timeout: 8 * time.Second, grace: time.Second}
	own := errors.New("its own words")
	for name, c := range map[string]struct {
		takes time.Duration // from when its context ends where noted, else from the beginning
		noted bool
		want  error
		waits time.Duration
	}{
		"in time":         {takes: time.Second, want: own, waits: time.Second},
		"at last":         {takes: time.Second / 2, noted: true, want: own, waits: l.timeout + time.Second/2},
		"without notice":  {takes: l.timeout + time.Second/2, want: own, waits: l.timeout + time.Second/2},
		"not any more":    {takes: time.Hour, noted: true, want: errStuck, waits: l.timeout + l.grace},
		"never had begun": {takes: time.Hour, want: errStuck, waits: l.timeout + l.grace},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				err := within(t.Context(), l, func(ctx context.Context) error {
					if c.noted {
						<-ctx.Done()
					}
					time.Sleep(c.takes)
					return own
				})
				took := time.Since(begun)
				time.Sleep(2 * time.Hour) // what was left behind ends, too
				if !errors.Is(err, c.want) || took != c.waits {
					t.Errorf("after %v: %v; want %v after %v", took, err, c.want, c.waits)
				}
				if c.want == errStuck && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("the context's error is not in %v", err)
				}
			})
		})
	}
}
