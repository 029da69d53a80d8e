package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
)

// unitsCommand is what systemd calls whenever it reads its units, by deploy/systemd/conforma-status-generator: what the units
// have to know of the configuration is told to them there, and nowhere else.
func (a *app) unitsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "units DIR", Short: terminal.HelpUnits, Long: terminal.HelpUnitsLong, Args: arguments(cobra.ExactArgs(1)), Hidden: true,
		RunE: func(_ *cobra.Command, args []string) error {
			file := a.configurationFile()
			c, _, err := config.Load(file)
			if data, unread := os.ReadFile(file); errors.Is(err, config.ErrNoFile) || unread == nil && config.Empty(data) {
				return nil // not set up yet
			}
			if err != nil {
				return unreadable(err)
			}
			return writeUnits(args[0], file, c)
		},
	}
}

// writeUnits writes drop-ins for the units of deploy/systemd below dir.
func writeUnits(dir, file string, c *config.Config) error {
	secrets, watched := []string{"[Service]"}, []string{"[Path]"}
	for _, s := range c.Sites {
		if s.JWT == nil {
			continue
		}
		path, err := unitPath(s.JWT.SecretEnvFile + s.JWT.SecretFile) // one of which is empty, both where they are faults
		if path == "" && err == nil {
			continue
		}
		if err != nil {
			return usage(fmt.Errorf("hand the secret of %s to the gate: %w", s.Name, err), terminal.HintUnitPath)
		}
		secrets = append(secrets, "LoadCredential="+s.Name+":"+path)
		watched = append(watched, "PathChanged="+path)
	}
	socket, err := unitPath(c.Gate.Socket)
	if err != nil {
		return usage(fmt.Errorf("name the gate's socket: %w", err), terminal.HintUnitPath)
	}
	mounts, writes := []string{"[Unit]"}, []string{"[Service]"}
	for _, needed := range []string{c.StateDir, c.Nginx.ConfDir, filepath.Dir(c.AuditLog), filepath.Dir(c.MetricsFile), c.Gate.Verdicts, strings.TrimPrefix(c.Store, "dir:")} {
		path, err := unitPath(needed)
		if err != nil || !filepath.IsAbs(path) {
			continue // it isn't set, or one that systemd can't take: what it is needed for says so
		}
		writes = append(writes, "ReadWritePaths=-"+quoteUnit(path))
		if needed == c.StateDir || needed == c.Nginx.ConfDir {
			mounts = append(mounts, "RequiresMountsFor="+quoteUnit(path))
		}
	}
	for unit, lines := range map[string][]string{
		"conforma-status-gate.service":      secrets,
		"conforma-status-gate-restart.path": watched,
		"conforma-status-gate.socket":       {"[Socket]", "ListenStream=", "ListenStream=" + socket},
		"conforma-status-reconcile.service": append(mounts, writes...),
	} {
		path := filepath.Join(dir, unit+".d", "configuration.conf")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		text := "# Made from " + file + " whenever systemd reads its units.\n" + strings.Join(lines, "\n") + "\n"
		if err := durable.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// unitPath is the path as systemd's settings that take one path want it: % begins a specifier (systemd.unit(5)), and what would end or
// continue the line can't be written at all.
func unitPath(path string) (string, error) {
	if strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }) || strings.HasSuffix(path, `\`) || strings.TrimSpace(path) != path {
		return "", fmt.Errorf("systemd can't take the path %q", path)
	}
	return strings.ReplaceAll(path, "%", "%%"), nil
}

// quoteUnit quotes one word of a setting that takes several (systemd.syntax(7)).
func quoteUnit(word string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`
}
