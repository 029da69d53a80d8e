package setup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
)

// WindowTimer is the timer that has systemd run reconcile when maintenance windows begin.
const WindowTimer = "conforma-status-window.timer"

// reconcileService is what it starts.
const reconcileService = "conforma-status-reconcile.service"

// systemctlTimeout bounds how long systemd is waited for, which may be reading all of its units.
const systemctlTimeout = 30 * time.Second

// Timer keeps the timer of a host whose systemd runs reconcile.
type Timer struct {
	// Dir is where systemd reads units that are gone after the next boot: reconcile makes the timer anew then.
	Dir string
	// Systemctl runs systemctl with arguments.
	Systemctl func(ctx context.Context, args ...string) error
}

// SystemTimer is the timer of this machine, ok false where its systemd isn't to run reconcile.
func SystemTimer() (t Timer, ok bool) {
	for _, dir := range []string{"/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"} {
		if _, err := os.Stat(filepath.Join(dir, reconcileService)); err == nil {
			_, err := os.Stat("/run/systemd/system") // sd_booted(3)
			return Timer{Dir: "/run/systemd/system", Systemctl: systemctl}, err == nil
		}
	}
	return Timer{}, false
}

func systemctl(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, systemctlTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// Set has the timer run reconcile at these moments, and at no others. It makes the timer anew where it was lost, and
// leaves one alone that is as it should be.
func (t Timer) Set(ctx context.Context, moments []time.Time) error {
	if err := t.set(ctx, moments); err != nil {
		return fmt.Errorf("set the timer of the next window: %w", err)
	}
	return nil
}

func (t Timer) set(ctx context.Context, moments []time.Time) error {
	path := filepath.Join(t.Dir, WindowTimer)
	was, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(moments) == 0 {
		if was == nil {
			return nil
		}
		err := t.Systemctl(ctx, "stop", WindowTimer)
		return errors.Join(err, os.Remove(path), t.Systemctl(ctx, "daemon-reload"))
	}
	want := windowTimer(moments)
	if bytes.Equal(was, want) && t.Systemctl(ctx, "is-active", "--quiet", WindowTimer) == nil {
		return nil
	}
	if err := durable.WriteFile(path, want, 0o644); err != nil {
		return err
	}
	if err := t.Systemctl(ctx, "daemon-reload"); err != nil {
		return err
	}
	return t.Systemctl(ctx, "restart", WindowTimer)
}

// windowTimer is the unit. Persistent=false: a moment that has passed while the machine was off is for reconcile to
// judge (systemd.timer(5)).
func windowTimer(moments []time.Time) []byte {
	var b strings.Builder
	b.WriteString("# Made by conforma-status reconcile from what is scheduled.\n[Unit]\n" +
		"Description=conforma-status: begin a maintenance window on time\nDocumentation=man:conforma-status-schedule(1)\n\n[Timer]\n")
	var lines []string
	for _, m := range moments {
		lines = append(lines, m.UTC().Format("OnCalendar=2006-01-02 15:04:05 UTC\n"))
	}
	slices.Sort(lines)
	for _, line := range slices.Compact(lines) {
		b.WriteString(line)
	}
	b.WriteString("AccuracySec=1s\nPersistent=false\nUnit=" + reconcileService + "\n")
	return []byte(b.String())
}
