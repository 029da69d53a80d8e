// Command benchtable runs every benchmark of the project, in rounds, and makes one table of what they print.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// modules are the project's, seen from deploy/e2e. What benchmarks of the second measure has its own number of
// repetitions; once is enough.
var modules = []struct{ dir, benchtime string }{{"../..", "300ms"}, {".", "1x"}}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "benchtable:", err)
		os.Exit(1)
	}
}

func run() error {
	rounds := flag.Int("rounds", 3, "how often everything is measured, at most")
	budget := flag.Duration("budget", 15*time.Minute, "no round begins that wouldn't end within it, if it took as long as the longest before; the first ends with it")
	pattern := flag.String("bench", ".", "which benchmarks, as for go test")
	out := flag.String("out", "../../dist", "the directory for bench.md and bench.json")
	update := flag.String("update", "", "a document to put the table into, between its marks")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, *budget, fmt.Errorf("not done within %v", *budget))
	defer cancel()

	r := &Report{Version: 1, Versions: theseVersions()}
	var err error
	if r.Machine, err = thisMachine(); err != nil {
		return fmt.Errorf("see what machine this is: %w", err)
	}
	commit, err := exec.Command("git", "describe", "--tags", "--always", "--dirty").Output()
	if err != nil {
		return fmt.Errorf("ask git for the commit: %w", err)
	}
	r.Commit = strings.TrimSpace(string(commit))
	began := time.Now()
	r.Date = began.UTC().Format(time.RFC3339)
	var all figures
	var longest time.Duration
	for r.Rounds < *rounds && time.Since(began)+longest < *budget {
		r.Rounds++
		fmt.Fprintf(os.Stderr, "round %d of %d\n", r.Rounds, *rounds)
		at := time.Now()
		if err := round(ctx, &all, *pattern, time.Until(began.Add(*budget))); err != nil {
			return err
		}
		longest = max(longest, time.Since(at))
	}
	r.Seconds = time.Since(began).Seconds()
	r.Figures = all.sorted()
	if len(r.Figures) == 0 {
		return fmt.Errorf("no benchmark is called like %s", *pattern)
	}
	return write(r, *out, *update)
}

// round measures everything once.
func round(ctx context.Context, all *figures, pattern string, within time.Duration) error {
	for _, m := range modules {
		var printed bytes.Buffer
		cmd := exec.CommandContext(ctx, "go", "test", "-vet=off", "-run", "^$", "-bench", pattern, "-benchtime", m.benchtime, "-count", "1",
			"-timeout", within.Round(time.Second).String(), "./...")
		cmd.Dir = m.dir
		cmd.Stdout, cmd.Stderr = io.MultiWriter(&printed, os.Stderr), os.Stderr
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // go test ends what it has started
		cmd.WaitDelay = 10 * time.Second
		if err := cmd.Run(); err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return fmt.Errorf("run the benchmarks in %s: %w", m.dir, err)
		}
		if err := all.read(&printed); err != nil {
			return fmt.Errorf("read what the benchmarks in %s printed: %w", m.dir, err)
		}
	}
	return nil
}

func write(r *Report, dir, document string) error {
	table := r.markdown()
	fmt.Print("\n", table)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "bench.md"), []byte(table), 0o644),
		os.WriteFile(filepath.Join(dir, "bench.json"), r.json(), 0o644)); err != nil {
		return err
	}
	if document == "" {
		return nil
	}
	old, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	text, err := insert(string(old), table)
	if err != nil {
		return fmt.Errorf("put the table into %s: %w", document, err)
	}
	return os.WriteFile(document, []byte(text), 0o644)
}
