package setup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// Container is one that nginx runs in. The zero value is none: nginx runs on the machine itself.
type Container struct {
	Name    string
	Master  int      // the process id of nginx's master, as this process counts
	Command []string // runs a command in there: "docker exec NAME"
	bridged bool     // whether it has a network of its own
}

// Nginx is the command that runs nginx with an argument, there.
func (c Container) Nginx(args ...string) []string {
	return append(append(slices.Clip(c.Command), "nginx"), args...)
}

var (
	// ErrSeveralContainers is returned (wrapped) where it can't be told which nginx is meant.
	ErrSeveralContainers = errors.New("several containers run an nginx")
	// ErrNotMounted is returned (wrapped) where the container has a file of its own in place of one of the machine's.
	ErrNotMounted = errors.New("the container doesn't have it mounted at the same path")
)

// FindContainer finds the only container here that runs an nginx. It returns the zero value if nginx runs on the
// machine itself, or if there is no such container. Run runs a command to its end and returns what it printed. The
// error wraps ErrSeveralContainers.
func FindContainer(ctx context.Context, masters []int, run func(ctx context.Context, argv []string) ([]byte, error)) (Container, error) {
	self := os.Getpid()
	masters = slices.DeleteFunc(slices.Clone(masters), func(pid int) bool {
		return workers.SharesNamespace("pid", pid, self) && !workers.SharesNamespace("net", pid, self) // another's
	})
	if len(masters) == 0 || slices.ContainsFunc(masters, func(pid int) bool { return workers.SharesNamespace("pid", pid, self) }) {
		return Container{}, nil
	}
	var found []Container
	for _, engine := range []string{"docker", "podman"} {
		ids, err := run(ctx, []string{engine, "ps", "--quiet", "--no-trunc"})
		if err != nil || len(strings.Fields(string(ids))) == 0 {
			continue // there is none of that kind, or none for this user
		}
		out, err := run(ctx, append([]string{engine, "inspect", "--format", "{{.State.Pid}} {{.Name}}"}, strings.Fields(string(ids))...))
		if err != nil {
			continue // one of them has ended meanwhile, for one
		}
		for line := range strings.Lines(string(out)) {
			first, name, _ := strings.Cut(strings.TrimSpace(line), " ")
			name = strings.TrimPrefix(name, "/")
			pid, err := strconv.Atoi(first)
			i := slices.IndexFunc(masters, func(master int) bool { return workers.SharesNamespace("pid", master, pid) })
			if err != nil || name == "" || i < 0 {
				continue
			}
			c := Container{Name: name, Master: masters[i], Command: []string{engine, "exec", name}, bridged: !workers.SharesNamespace("net", masters[i], self)}
			if !slices.ContainsFunc(found, func(o Container) bool { return o.Master == c.Master }) {
				found = append(found, c)
			}
		}
	}
	switch len(found) {
	case 0:
		return Container{}, nil
	case 1:
		return found[0], nil
	}
	var names []string
	for _, c := range found {
		names = append(names, c.Name)
	}
	return Container{}, fmt.Errorf("%w: %s", ErrSeveralContainers, strings.Join(names, ", "))
}

// lines are those of [nginx] for the container.
func (c Container) lines(conf *operator.Config) []string {
	if c.Name == "" {
		return nil
	}
	out := []string{"test     = " + list(c.Nginx("-t")), "reload   = " + list(c.Nginx("-s", "reload"))}
	defaults, _ := config.Parse("", nil) // it misses what has none
	for _, dir := range []string{confDir(conf), defaults.StateDir, filepath.Dir(defaults.Gate.Socket)} {
		if !workers.Sees(c.Master, dir) {
			out = append(out, fmt.Sprintf("# CHANGE: mount %[1]s in the container %[2]s at the same path, read-only: -v %[1]s:%[1]s:ro", dir, c.Name))
		}
	}
	if pid := conf.PIDFile; pid == "" || !workers.Sees(c.Master, pid) {
		out = append(out, fmt.Sprintf("# CHANGE: the machine doesn't see this file of the container's. Have nginx write \"pid /run/%[1]s/nginx.pid;\", mount "+
			"/run/%[1]s (-v /run/%[1]s:/run/%[1]s), and name it here.", c.Name))
	}
	return out
}

// mounted returns an error that wraps ErrNotMounted unless what the draft writes is the container's as well.
func (d Draft) mounted() error {
	if d.in.Name == "" {
		return nil
	}
	files := []string{d.confDir}
	for _, l := range d.Lines {
		files = append(files, l.At.File)
	}
	for _, file := range files {
		if !workers.Sees(d.in.Master, file) {
			return fmt.Errorf("add the include lines: %s: %w (%s)", file, ErrNotMounted, d.in.Name)
		}
	}
	return nil
}
