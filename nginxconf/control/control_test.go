package control

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

func TestRunCommands(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		argv []string
		is   error  // nil where the command succeeds
		says string // the whole error
	}{
		"success":               {argv: []string{"sh", "-c", "echo out; echo err >&2"}},
		"an unknown name":       {[]string{"no-such-program-here", "-t"}, ErrNotInstalled, "no-such-program-here: no such command"},
		"an unknown path":       {[]string{dir + "/none", "-t"}, ErrNotInstalled, dir + "/none: no such command"},
		"a path below a file":   {[]string{plain + "/nginx"}, ErrRefused, plain + "/nginx: refused: fork/exec " + plain + "/nginx: not a directory"},
		"not to be executed":    {[]string{plain}, ErrRefused, plain + ": refused: fork/exec " + plain + ": permission denied"},
		"fails on stderr":       {[]string{"sh", "-c", "echo out; echo ' [emerg] line 1'; echo '[emerg] why' >&2; echo more >&2; exit 1"}, ErrRefused, "sh -c echo out; echo ' [emerg] line 1'; echo '[emerg] why' >&2; echo more >&2; exit 1: refused: [emerg] why\nmore"},
		"fails on stdout":       {[]string{"sh", "-c", "echo why; exit 3"}, ErrRefused, "sh -c echo why; exit 3: refused: why"},
		"fails without a word":  {[]string{"sh", "-c", "exit 3"}, ErrRefused, "sh -c exit 3: refused: exit status 3"},
		"is killed":             {[]string{"sh", "-c", "kill -9 $$"}, ErrRefused, "sh -c kill -9 $$: refused: signal: killed"},
		"is interrupted":        {[]string{"sh", "-c", "kill -INT $$"}, ErrInterrupted, "sh -c kill -INT $$: it was interrupted"},
		"arguments as they are": {argv: []string{"sh", "-c", `test "$1" = '$x "y"  z' && test "$#" = 2`, "sh", `$x "y"  z`, ""}},
	} {
		err := Run(t.Context(), c.argv)
		if !errors.Is(err, c.is) || err != nil && err.Error() != c.says {
			t.Errorf("%s:\n got %v\nwant %s", name, err, c.says)
		}
	}
}

// A command that leaves a child behind, with its output still open, has ended all the same.
func TestRunDoesNotWaitForChildren(t *testing.T) {
	out, err := Output(t.Context(), []string{"sh", "-c", "sleep 600 & echo $!"})
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("the child: %v", err)
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Run(ctx, []string{"sleep", "600"}); !errors.Is(err, ErrInterrupted) || errors.Is(err, ErrRefused) {
		t.Errorf("given up before it began: %v", err)
	}
}

func TestMaster(t *testing.T) {
	dir := t.TempDir()
	self := strconv.Itoa(os.Getpid())
	for content, want := range map[string]int{
		self: os.Getpid(), self + "\n": os.Getpid(), " " + self + " \n\n": os.Getpid(),
		"": 0, "\n": 0, "nginx": 0, "0": 0, "-1": 0, "-" + self: 0, self + " 1": 0, self + "\n1": 0, "1.0": 0, "0x1": 0, "99999999999999999999": 0,
		"4194305": 0, // beyond the largest process id that Linux gives (PID_MAX_LIMIT, proc(5))
	} {
		file := filepath.Join(dir, "pid")
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		pid, err := Nginx{PIDFile: file}.Master()
		if pid != want || (want == 0) != errors.Is(err, workers.ErrNotRunning) || (want != 0 && err != nil) {
			t.Errorf("a pid file of %q: %d, %v; want %d", content, pid, err, want)
		}
	}
	if _, err := (Nginx{PIDFile: filepath.Join(dir, "none")}).Master(); !errors.Is(err, workers.ErrNotRunning) {
		t.Errorf("no pid file: %v, want workers.ErrNotRunning", err)
	}
	if _, err := (Nginx{PIDFile: dir}).Master(); err == nil || errors.Is(err, workers.ErrNotRunning) {
		t.Errorf("a pid file that can't be read: %v, which says nothing of whether nginx runs", err)
	}
}

func TestTestReloadDump(t *testing.T) {
	dir := t.TempDir()
	pid, mark := filepath.Join(dir, "pid"), filepath.Join(dir, "reloaded")
	n := Nginx{
		PIDFile: pid, ReloadCommand: []string{"touch", mark},
		TestCommand: []string{"sh", "-c", `[ "$1" = -T ] && echo "http { }" || echo fine >&2`, "sh", "-t"},
	}
	if err := n.Test(t.Context()); err != nil {
		t.Error(err)
	}
	if out, err := n.Dump(t.Context()); err != nil || string(out) != "http { }\n" {
		t.Errorf("the dump is %q, %v", out, err)
	}
	if n.TestCommand[4] != "-t" {
		t.Errorf("Dump changed the test command to %q", n.TestCommand)
	}

	if err := n.Reload(t.Context()); !errors.Is(err, workers.ErrNotRunning) || !strings.HasPrefix(err.Error(), "reload nginx: nginx is not running: ") {
		t.Errorf("reload without an nginx: %v", err)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the reload command ran without an nginx")
	}
	if err := os.WriteFile(pid, []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := n.Reload(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(mark); err != nil {
		t.Errorf("the reload command didn't run: %v", err)
	}

	bad := Nginx{PIDFile: pid, TestCommand: []string{"sh", "-c", "echo '[emerg] unexpected \"}\"' >&2; exit 1", "-t"}, ReloadCommand: []string{dir + "/none"}}
	if err := bad.Test(t.Context()); !errors.Is(err, ErrRefused) || !strings.HasPrefix(err.Error(), "test nginx's configuration: sh -c ") || !strings.HasSuffix(err.Error(), `refused: [emerg] unexpected "}"`) {
		t.Errorf("a test that fails: %v", err)
	}
	if out, err := bad.Dump(t.Context()); !errors.Is(err, ErrRefused) || out != nil {
		t.Errorf("a dump that fails: %q, %v", out, err)
	}
	if err := bad.Reload(t.Context()); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("a reload command that isn't there: %v", err)
	}
	if _, err := (Nginx{TestCommand: []string{"true", "--test"}}).Dump(t.Context()); !errors.Is(err, ErrNoDump) {
		t.Errorf("a test command without -t: %v, want ErrNoDump", err)
	}
}
