package workers

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// socketLink is how the link of a socket's descriptor begins (proc(5), /proc/PID/fd).
const socketLink = "socket:["

// links are what the descriptors of a process lead to, as proc(5) says it.
func (s Sockets) links(pid int) ([]string, error) {
	dir, err := os.Open(s.file(pid, "fd"))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	out, at, buf := make([]string, 0, len(names)), int(dir.Fd()), make([]byte, 4096)
	for _, name := range names { // a worker may have tens of thousands: none is looked up from the root
		n, err := unix.Readlinkat(at, name, buf)
		if errors.Is(err, os.ErrNotExist) {
			continue // closed meanwhile
		}
		if err != nil {
			return nil, &os.PathError{Op: "readlink", Path: filepath.Join(dir.Name(), name), Err: err}
		}
		out = append(out, string(buf[:n]))
	}
	return out, nil
}

// inodes are those of the sockets among links.
func inodes(links []string) []uint64 {
	var out []uint64
	for _, to := range links {
		if number, ok := strings.CutPrefix(to, socketLink); ok {
			if n, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64); err == nil {
				out = append(out, n)
			}
		}
	}
	return out
}

// temporary is a temporary file of nginx's: ten digits, below directories that are named for its first ones
// (ngx_create_temp_file, ngx_create_hashed_filename). Its first group is the directory that they are in.
var temporary = regexp.MustCompile(`([^/]*)(?:/[0-9]{1,3}){0,3}/[0-9]{10}(?: \(deleted\))?$`)

// answers is how the directories are named where nginx keeps answers of applications, by default and in every package
// known (proxy_temp_path and its like). A name that isn't known is taken for that of requests: that errs towards
// waiting.
var answers = regexp.MustCompile(`proxy|fastcgi|uwsgi|scgi`)

// gathers reports whether a process holds the body of a request in a file. One that can't be looked at doesn't.
func (g *glance) gathers(p Process) bool {
	d, err := g.descriptors(p.PID)
	return err == nil && slices.ContainsFunc(d.links, func(to string) bool {
		m := temporary.FindStringSubmatch(to)
		return m != nil && !answers.MatchString(m[1])
	})
}

// isBare reports whether a process holds no socket and no file that its master doesn't hold. One that can't be looked
// at isn't bare.
func (g *glance) isBare(p Process) bool {
	own, err := g.descriptors(p.PID)
	if err != nil {
		return false
	}
	shared, err := g.descriptors(g.before.master)
	return err == nil && !slices.ContainsFunc(own.links, func(to string) bool {
		return (strings.HasPrefix(to, socketLink) || strings.HasPrefix(to, "/")) && !slices.Contains(shared.links, to)
	})
}
