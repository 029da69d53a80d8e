package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
)

// ErrUnitPath is returned (wrapped) for a path that systemd's units can't hold.
var ErrUnitPath = errors.New("systemd can't take the path")

// Units writes drop-ins for the units of deploy/systemd below dir: what they have to know of the configuration c,
// which was read from file. The error may wrap ErrUnitPath.
func Units(dir, file string, c *config.Config) error {
	secrets, watched, err := secretUnits(c)
	if err != nil {
		return err
	}
	socket, err := unitPath(c.Gate.Socket)
	if err != nil {
		return fmt.Errorf("name the gate's socket: %w", err)
	}
	for unit, lines := range map[string][]string{
		"conforma-status-gate.service":      secrets,
		"conforma-status-gate-restart.path": watched,
		"conforma-status-gate.socket":       {"[Socket]", "ListenStream=", "ListenStream=" + socket},
		"conforma-status-reconcile.service": reconcileUnit(c),
		"conforma-status-follow.service":    reconcileUnit(c),
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
	if c.Fleet == nil {
		return nil
	}
	return followUnit(dir)
}

// followUnit has the agent started at boot, as systemctl enable does (systemd.unit(5)).
func followUnit(dir string) error {
	const unit = "conforma-status-follow.service"
	wants := filepath.Join(dir, "multi-user.target.wants")
	if err := os.MkdirAll(wants, 0o755); err != nil {
		return err
	}
	err := os.Symlink("/usr/lib/systemd/system/"+unit, filepath.Join(wants, unit))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// secretUnits are the lines of the unit that the secrets are handed to, and of that which watches them.
func secretUnits(c *config.Config) (service, watched []string, err error) {
	service, watched = []string{"[Service]"}, []string{"[Path]"}
	for _, s := range c.Sites {
		path, err := unitPath(SecretFile(c, s))
		if path == "" && err == nil {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("hand the secret of %s to the gate: %w", s.Name, err)
		}
		service = append(service, "LoadCredential="+s.Name+":"+path)
		if s.JWT == nil { // made by the first pass: until then the gate runs without it (LoadCredential= in systemd.exec(5))
			service = append(service, "SetCredential="+s.Name+":none") // what isn't long enough to be a key
		}
		watched = append(watched, "PathChanged="+path)
	}
	return service, watched, nil
}

// SecretFile is where the secrets of a site are: what it shares with its application, or, without a [site.jwt], the key
// of its passes. It is "" where a fault keeps that from being known.
func SecretFile(c *config.Config, s config.Site) string {
	if s.JWT == nil {
		return state.Dir(c.StateDir).PassKeyFile(s.Name)
	}
	return s.JWT.File()
}

// reconcileUnit is what reconcile writes to, and needs to be mounted.
func reconcileUnit(c *config.Config) []string {
	mounts, writes := []string{"[Unit]"}, []string{"[Service]"}
	for _, needed := range []string{
		c.StateDir, c.Nginx.ConfDir, filepath.Dir(c.AuditLog), filepath.Dir(c.MetricsFile), c.Gate.Verdicts,
		strings.TrimPrefix(c.Store, "dir:"), receiptDir(c),
	} {
		path, err := unitPath(needed)
		if err != nil || !filepath.IsAbs(path) {
			continue // it isn't set, or one that systemd can't take: what it is needed for says so
		}
		writes = append(writes, "ReadWritePaths=-"+quoteUnit(path))
		if needed == c.StateDir || needed == c.Nginx.ConfDir {
			mounts = append(mounts, "RequiresMountsFor="+quoteUnit(path))
		}
	}
	return append(mounts, writes...)
}

// receiptDir is the directory that the hosts of a fleet share, "" where it is none, or there is no fleet.
func receiptDir(c *config.Config) string {
	if c.Fleet == nil {
		return ""
	}
	dir, _ := strings.CutPrefix(c.Fleet.Store, "dir:")
	return dir
}

// unitPath is the path as systemd's settings for one path want it: % begins a specifier (systemd.unit(5)). Characters
// that would end or continue the line can't be written at all.
func unitPath(path string) (string, error) {
	control := strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f })
	if control || strings.HasSuffix(path, `\`) || strings.TrimSpace(path) != path {
		return "", fmt.Errorf("%w %q", ErrUnitPath, path)
	}
	return strings.ReplaceAll(path, "%", "%%"), nil
}

// quoteUnit quotes one word of a setting that takes several (systemd.syntax(7)).
func quoteUnit(word string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`
}
