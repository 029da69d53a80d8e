package workers

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"syscall"

	"github.com/prometheus/procfs"
)

// What is asked of every process of the machine is read here: with three system calls a file, where procfs and os take
// some ten. Where there are hundreds of processes, a change does little else.

// read reads the beginning of a file of a process's, 4 KB at most: proc(5) hands out as much as there is in one read.
func (s Sockets) read(pid int, name string) ([]byte, error) {
	fd, err := syscall.Open(s.file(pid, name), syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer syscall.Close(fd)
	buf := make([]byte, 4096)
	for {
		n, err := syscall.Read(fd, buf)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		return buf[:max(n, 0)], err
	}
}

// comm is the name of a process's program: proc(5).
func (s Sockets) comm(p procfs.Proc) (string, error) {
	name, err := s.read(p.PID, "comm")
	return string(bytes.TrimSpace(name)), err
}

// title is a process's command line with spaces between its words, or what the process has written over it. It is ""
// where there is none, or none that can be read.
func (s Sockets) title(p procfs.Proc) string {
	line, err := s.read(p.PID, "cmdline")
	if err != nil {
		return ""
	}
	return string(bytes.ReplaceAll(bytes.TrimRight(line, "\x00"), []byte{0}, []byte{' '}))
}

// Where ids stand among the real, effective, saved and file system ones of proc(5)'s status. That of the file system is
// the one that counts for sockets.
const (
	effective  = 1
	fileSystem = 3
)

// owners are the users and the groups of a process, as this process counts.
func (s Sockets) owners(p procfs.Proc) (users, groups [4]uint32, err error) {
	status, err := s.read(p.PID, "status")
	if err != nil {
		return users, groups, err
	}
	for name, ids := range map[string]*[4]uint32{"Uid": &users, "Gid": &groups} {
		_, line, _ := bytes.Cut(status, []byte("\n"+name+":"))
		line, _, _ = bytes.Cut(line, []byte("\n"))
		words := bytes.Fields(line)
		if len(words) != len(ids) {
			return users, groups, fmt.Errorf("its status has no line %s", name)
		}
		for i, w := range words {
			id, err := strconv.ParseUint(string(w), 10, 32)
			if err != nil {
				return users, groups, err
			}
			ids[i] = uint32(id)
		}
	}
	return users, groups, nil
}
