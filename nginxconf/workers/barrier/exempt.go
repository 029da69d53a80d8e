//go:build linux

package barrier

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// Exempt returns the cgroups of applications that listen at the ends and have the user id of a worker of nginx: they
// may talk to themselves. It leaves out the root, and a cgroup that a worker of nginx is in too. It is empty if there
// is none, or if no cgroups of version 2 are mounted. nginx are the workers (workers.Sockets.Workers).
//
// A restart of the application makes its cgroup anew: so ask again from time to time. The errors are what keeps /proc
// from being read.
func Exempt(s workers.Sockets, master int, nginx []workers.Worker, ends []End) ([]Cgroup, error) {
	listeners, err := s.Listeners(master)
	if err != nil {
		return nil, err
	}
	listeners = slices.DeleteFunc(listeners, func(l workers.Listener) bool {
		return !slices.ContainsFunc(ends, func(e End) bool {
			return e.Local && e.Addr.Port() == l.Addr.Port() && (e.Anywhere || e.Addr == l.Addr)
		})
	})
	if len(listeners) == 0 || len(nginx) == 0 {
		return nil, nil
	}
	holders, err := s.Holders(listeners, nginx)
	if err != nil {
		return nil, err
	}
	root := mountedAt()
	var out []Cgroup
	for _, pid := range holders {
		path := cgroupOf(pid)
		if path == "" || path == "/" || root == "" || slices.ContainsFunc(nginx, func(w workers.Worker) bool { return below(cgroupOf(w.PID), path) }) {
			continue
		}
		var stat unix.Stat_t
		if err := unix.Stat(filepath.Join(root, path), &stat); err != nil {
			continue // gone meanwhile, or another namespace's
		}
		c := Cgroup{Path: path, ID: stat.Ino, Level: uint32(strings.Count(path, "/"))}
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out, nil
}

func below(path, top string) bool { return path == top || strings.HasPrefix(path, top+"/") }

// cgroupOf is the cgroup of version 2 of a process, "" where it can't be told: cgroups(7).
func cgroupOf(pid int) string {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if path, is := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); is {
			return filepath.Clean(path)
		}
	}
	return ""
}

// mountedAt is where the cgroups of version 2 are mounted, "" where they aren't.
func mountedAt() string {
	mounts, err := procfs.GetMounts()
	if err != nil {
		return ""
	}
	for _, m := range mounts {
		if m.FSType == "cgroup2" && m.Root == "/" {
			return m.MountPoint
		}
	}
	return ""
}
