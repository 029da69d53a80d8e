// Package esbuild bundles and minifies JavaScript and CSS with esbuild, which "make need-web" puts into web/esbuild.
package esbuild

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Run runs esbuild with the arguments in this directory and returns what it wrote to standard output. stdin is the
// source where the arguments name no file, nil for none. NODE_PATH is modules, "" for none. A warning fails the test.
func Run(tb testing.TB, stdin []byte, modules string, args ...string) []byte {
	tb.Helper()
	// The program itself, of this machine's kind: node_modules/.bin has one that starts it by way of node.
	programs, err := filepath.Glob("../web/esbuild/node_modules/@esbuild/*/bin/esbuild")
	if err != nil || len(programs) != 1 {
		tb.Fatalf("esbuild is not there (npm ci in web/esbuild installs it): %v %v", programs, err)
	}
	var out, said bytes.Buffer
	cmd := exec.Command(programs[0], append(args, "--log-level=warning")...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &said
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	if err := cmd.Run(); err != nil || said.Len() > 0 {
		tb.Fatalf("esbuild %v: %v\n%s", args, err, &said)
	}
	return out.Bytes()
}
