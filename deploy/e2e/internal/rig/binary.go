package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// program is a build of conforma-status that tests run.
type program struct {
	env  string   // names the environment variable with its absolute path; where that isn't set, Main builds it from this work tree
	args []string // of go build
	path string   // set by Main
}

var (
	binary      = program{env: "CONFORMA_STATUS_BIN"}
	crashBinary = program{env: "CONFORMA_STATUS_CRASH_BIN", args: []string{"-tags", "crashpoints"}}
)

// Main builds what the tests of a package run, before the first of them begins, and runs them. It returns their exit
// code.
func Main(m *testing.M) int {
	if os.Getenv(oldKernelEnv) == "1" {
		fmt.Fprintln(os.Stderr, "rig: an old kernel:", runOnOldKernel(os.Args[1:]))
		return 1
	}
	if pairs := os.Getenv(relayEnv); pairs != "" {
		fmt.Fprintln(os.Stderr, "rig: a relay:", runRelay(pairs))
		return 1
	}
	dir, err := os.MkdirTemp("", "cs-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "rig: make a directory for the binaries:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	defer end()
	if err := os.Setenv(mallocEnv, malloc); err != nil { // for the nginx that a test starts
		fmt.Fprintln(os.Stderr, "rig:", err)
		return 1
	}
	for _, p := range []*program{&binary, &crashBinary} {
		if err := p.find(filepath.Join(dir, p.env, "conforma-status")); err != nil {
			fmt.Fprintln(os.Stderr, "rig:", err)
			return 1
		}
	}
	return m.Run()
}

var ends struct {
	mu  sync.Mutex
	all []func()
}

// AtEnd has something done once all tests of the package are over, for what they share.
func AtEnd(do func()) {
	ends.mu.Lock()
	defer ends.mu.Unlock()
	ends.all = append(ends.all, do)
}

func end() {
	for _, do := range slices.Backward(ends.all) {
		do()
	}
}

// find takes the program that the environment names, or builds it at the path: as make does, so that the two share
// their cache.
func (p *program) find(path string) error {
	if p.path = os.Getenv(p.env); p.path != "" {
		return nil
	}
	p.path = path
	cmd := exec.Command("go", append(append([]string{"build", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false"}, p.args...), "-o", path, "./cmd/conforma-status")...)
	cmd.Dir, cmd.Env = Source(), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build conforma-status %v: %w\n%s", p.args, err, out)
	}
	return nil
}

func (p *program) built(tb testing.TB) string {
	tb.Helper()
	if p.path == "" {
		tb.Fatal("rig: the package has no TestMain that calls Main")
	}
	return p.path
}

// Binary returns the path of the conforma-status to test.
func Binary(tb testing.TB) string {
	tb.Helper()
	return binary.built(tb)
}

// CrashBinary returns the path of a conforma-status that can be made to end itself at each step: see
// cmd/internal/maintenance/crash_on.go.
func CrashBinary(tb testing.TB) string {
	tb.Helper()
	return crashBinary.built(tb)
}
