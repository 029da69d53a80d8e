// Package rig puts up what the end-to-end tests run against: a real nginx, an application of Conforma's
// shape that records what reached it, a host that serves several such applications, and clients that
// send exactly the bytes they are told to. Everything is on loopback, on ports of its own, and ends with
// the test that asked for it.
package rig

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// Dir returns a new directory that goes with tb. Unlike tb.TempDir it has a short path, since a unix
// socket's is limited to 107 bytes, and may be entered by anyone, since nginx workers run as www-data.
func Dir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "cs-")
	if err != nil {
		tb.Fatalf("rig: make a directory: %v", err)
	}
	tb.Cleanup(func() {
		var err error
		// What a test has left to itself, as an on_change command, may still write.
		WaitFor(tb, dir+" not to be written to any more", func() bool {
			err = os.RemoveAll(dir)
			return !errors.Is(err, syscall.ENOTEMPTY)
		})
		if err != nil {
			tb.Errorf("rig: remove the directory: %v", err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		tb.Fatalf("rig: open the directory to all: %v", err)
	}
	return dir
}

// WriteFile writes content to the file at the path, readable by all, making its directories as needed.
func WriteFile(tb testing.TB, path, content string) {
	tb.Helper()
	writeMode(tb, path, content, 0o644)
}

// WriteSecret writes content to the file at the path, readable by its owner only.
func WriteSecret(tb testing.TB, path, content string) {
	tb.Helper()
	writeMode(tb, path, content, 0o600)
}

func writeMode(tb testing.TB, path, content string, mode os.FileMode) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatalf("rig: make a directory: %v", err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		tb.Fatalf("rig: write a file: %v", err)
	}
	if err := os.Chmod(path, mode); err != nil { // where the file was there before
		tb.Fatalf("rig: write a file: %v", err)
	}
}

// root is the work tree's, seen from the directory of the package under test, in which its tests run.
var root = sync.OnceValue(func() string {
	dir := ".."
	for {
		if _, err := os.Stat(filepath.Join(dir, "Makefile")); err == nil {
			return dir
		}
		if abs, err := filepath.Abs(dir); err != nil || abs == "/" {
			panic("rig: the tests don't run in the work tree")
		}
		dir = filepath.Join(dir, "..")
	}
})

// Source returns the path of something in the work tree, by its elements from the root.
func Source(elem ...string) string { return filepath.Join(append([]string{root()}, elem...)...) }
