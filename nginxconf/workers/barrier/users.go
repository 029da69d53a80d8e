//go:build linux

package barrier

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// Users returns the users of workers of nginx (workers.Sockets.Workers), each once. It is empty where there are none.
// The errors are what keeps /proc from being read, and ErrUserNamespace.
func Users(nginx []workers.Worker) ([]User, error) {
	var out []User
	for _, w := range nginx {
		inside, err := translated(w)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // gone meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("tell the user of worker %d: %w", w.PID, err)
		}
		if u := (User{ID: inside, Here: w.User, Group: w.Group}); !slices.ContainsFunc(out, func(o User) bool { return o.ID == u.ID && o.Here == u.Here }) {
			out = append(out, u)
		}
	}
	return out, nil
}

// translated is the user of a worker as its network namespace counts: by the user namespace that this belongs to.
func translated(w workers.Worker) (uint32, error) {
	dir := "/proc/" + strconv.Itoa(w.PID)
	owner, err := ownerOf(dir + "/ns/net")
	if err != nil {
		return 0, err
	}
	if ours, err := userNamespace("/proc/self"); err != nil || ours == owner {
		return w.User, err
	}
	if theirs, err := userNamespace(dir); err != nil || theirs != owner {
		return 0, errors.Join(err, ErrUserNamespace)
	}
	f, err := os.Open(dir + "/uid_map")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return inMap(f, w.User)
}

// namespaceID tells namespaces apart: namespaces(7).
type namespaceID struct{ dev, ino uint64 }

// userNamespace is that of a process.
func userNamespace(dir string) (namespaceID, error) {
	var stat unix.Stat_t
	err := unix.Stat(dir+"/ns/user", &stat)
	return namespaceID{stat.Dev, stat.Ino}, err
}

// nsGetUserns is NS_GET_USERNS of ioctl_nsfs(2).
const nsGetUserns = 0xb701

// ownerOf is the user namespace that a namespace belongs to.
func ownerOf(namespace string) (namespaceID, error) {
	f, err := os.Open(namespace)
	if err != nil {
		return namespaceID{}, err
	}
	defer f.Close()
	fd, err := unix.IoctlRetInt(int(f.Fd()), nsGetUserns)
	if errors.Is(err, unix.EPERM) { // one above ours
		return namespaceID{}, ErrUserNamespace
	}
	if err != nil {
		return namespaceID{}, err
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	err = unix.Fstat(fd, &stat)
	return namespaceID{stat.Dev, stat.Ino}, err
}

// inMap finds what a user namespace calls a user, by its map: lines of the first id inside, the first one outside,
// and how many there are (user_namespaces(7)). The error wraps ErrUserNamespace where it doesn't know the user.
func inMap(r io.Reader, outside uint32) (uint32, error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var n [3]uint64
		words := strings.Fields(lines.Text())
		if len(words) != len(n) {
			return 0, fmt.Errorf("%w: %q", ErrUserNamespace, lines.Text())
		}
		for i, w := range words {
			var err error
			if n[i], err = strconv.ParseUint(w, 10, 32); err != nil {
				return 0, fmt.Errorf("%w: %w", ErrUserNamespace, err)
			}
		}
		inside, first, count := n[0], n[1], n[2]
		if id := uint64(outside); first <= id && id-first < count && inside+id-first < math.MaxUint32 {
			return uint32(inside + id - first), nil
		}
	}
	if err := lines.Err(); err != nil {
		return 0, err
	}
	return 0, fmt.Errorf("%w: it has no user %d", ErrUserNamespace, outside)
}
