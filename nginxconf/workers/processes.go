package workers

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/prometheus/procfs"
)

// Process is a process, told from a later one with the same id by when it started.
type Process struct {
	PID   int
	Start uint64 // clock ticks since boot (proc(5), stat field 22)
}

// process is a process of nginx's, a master or a worker.
type process struct {
	Process
	parent       int
	master       bool
	shuttingDown bool   // it says of itself that it is shutting down
	user         uint32 // effective user id
	network      string // its network namespace, "" where that can't be read
}

// processes are those of one program, by their ids.
type processes map[int]process

// ErrNotRunning is returned (wrapped) when no nginx runs under the pid file.
var ErrNotRunning = errors.New("nginx is not running")

// ErrNotMaster is returned (wrapped) when the pid file doesn't name nginx's master process: it is stale, or its number
// counts in another namespace than ours.
var ErrNotMaster = errors.New("that is not nginx's master process")

// ErrHidden is returned (wrapped) when /proc doesn't show a process that is there, or nothing at all.
var ErrHidden = errors.New("/proc doesn't show it")

// Titles that nginx gives its processes (ngx_setproctitle), whatever its program is called.
const (
	masterTitle  = "nginx: master process"
	leavingTitle = "is shutting down"
)

// Program returns the name of the program of nginx's master process, as in proc(5)'s comm. The error wraps
// ErrNotMaster when pid is another process, and ErrHidden when it can't be looked at.
func (s Sockets) Program(pid int) (string, error) {
	fs, err := s.fs()
	if err != nil {
		return "", err
	}
	p, err := fs.Proc(pid)
	if errors.Is(err, os.ErrNotExist) {
		err = ErrHidden
	}
	var stat procfs.ProcStat
	if err == nil {
		stat, err = p.Stat()
	}
	if err != nil {
		return "", fmt.Errorf("look at process %d: %w", pid, err)
	}
	if !strings.HasPrefix(s.title(p), masterTitle) {
		return "", fmt.Errorf("look at process %d (%s): %w", pid, stat.Comm, ErrNotMaster)
	}
	return stat.Comm, nil
}

// Master returns the process id of nginx's master process, as this machine counts where nginx runs in a container. The
// error wraps ErrNotRunning when the pid file is missing or names no living process.
func Master(pidFile string) (int, error) {
	data, err := os.ReadFile(pidFile)
	if errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("%w: there is no %s", ErrNotRunning, pidFile)
	}
	if err != nil {
		return 0, fmt.Errorf("read nginx's pid file: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || pid < 1 {
		return 0, fmt.Errorf("%w: %s holds no process id", ErrNotRunning, pidFile)
	}
	if _, err := (Sockets{}).Program(pid); err != nil {
		if master := inContainer(pid, pidFile); master != 0 {
			return master, nil
		}
	}
	// Signal 0 checks for existence only (kill(2)); EPERM means that it is there and not ours.
	if err := syscall.Kill(pid, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return 0, fmt.Errorf("%w: process %d of %s is gone", ErrNotRunning, pid, pidFile)
	}
	return pid, nil
}

// inContainer returns the process id, as this machine counts, of the nginx that calls itself pid inside a container
// and has written pidFile, which the container sees at the same path; 0 where there is none, or none that can be
// looked at.
func inContainer(pid int, pidFile string) int {
	written, err := os.Stat(pidFile)
	if err != nil {
		return 0
	}
	procs, _ := Sockets{}.all()
	for _, p := range procs {
		if !strings.HasPrefix((Sockets{}).title(p), masterTitle) {
			continue
		}
		status, err := p.NewStatus()
		// Its ids in each namespace, the innermost last: pid_namespaces(7).
		if err != nil || len(status.NSpids) < 2 || status.NSpids[len(status.NSpids)-1] != uint64(pid) {
			continue
		}
		there, err := os.Stat(Sockets{}.file(p.PID, "root/"+pidFile))
		if err == nil && os.SameFile(there, written) {
			return p.PID
		}
	}
	return 0
}

// fs is where the processes of this machine are seen.
func (s Sockets) fs() (procfs.FS, error) {
	fs, err := procfs.NewFS(s.procDir())
	if err != nil {
		return fs, fmt.Errorf("look at this machine's processes: %w", err)
	}
	return fs, nil
}

// all lists the processes of this machine.
func (s Sockets) all() (procfs.Procs, error) {
	fs, err := s.fs()
	if err != nil {
		return nil, err
	}
	procs, err := fs.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("look at this machine's processes: %w", err)
	}
	return procs, nil
}

// Named lists the processes of this machine whose program has that name, as in proc(5)'s comm.
func (s Sockets) Named(program string) (procfs.Procs, error) {
	procs, err := s.all()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(procs, func(p procfs.Proc) bool {
		name, err := s.comm(p) // an error: it is gone meanwhile
		return err != nil || name != program
	}), nil
}

// processes lists what runs nginx's program as master or worker.
func (s Sockets) processes(comm string) (processes, error) {
	procs, err := s.Named(comm)
	if err != nil {
		return nil, err
	}
	out := processes{}
	for _, p := range procs {
		text := s.title(p)
		if text != "" && !strings.HasPrefix(text, anyTitle) {
			continue // such as nginx -t. A worker that exits has no title any more, and its sockets still.
		}
		stat, err := p.Stat()
		if err != nil || stat.State == "Z" || stat.State == "X" {
			continue // gone meanwhile
		}
		users, _, err := s.owners(p)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // gone meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("look at process %d: %w", p.PID, err)
		}
		out[p.PID] = process{
			Process: Process{p.PID, stat.Starttime}, parent: stat.PPID,
			master: strings.HasPrefix(text, masterTitle), shuttingDown: strings.Contains(text, leavingTitle),
			user: users[effective], network: s.network(p.PID),
		}
	}
	return out, nil
}

// ofOtherMaster reports whether w is the worker of another master that lives.
func (ps processes) ofOtherMaster(w process, master int) bool {
	return w.parent != master && ps[w.parent].master
}

// workersOf lists what may serve the requests of master's nginx: its own workers, those of a master that is gone, and
// those of another one, which may be the other half of a binary upgrade. A master holds the listening sockets and
// never accepts from them. Workers in another network namespace, and those of another user where master isn't root
// and could have none (setuid(2)), belong to another nginx.
func (ps processes) workersOf(master int) []process {
	m := ps[master]
	var out []process
	for _, w := range ps {
		elsewhere := w.network != "" && m.network != "" && w.network != m.network
		others := m.user != 0 && w.user != m.user
		if !w.master && !elsewhere && !others {
			out = append(out, w)
		}
	}
	return out
}

// Masters returns the process ids of the nginx master processes of this machine, as this process counts, those in
// containers too.
func (s Sockets) Masters() ([]int, error) {
	procs, err := s.all()
	if err != nil {
		return nil, err
	}
	var out []int
	for _, p := range procs {
		if strings.HasPrefix(s.title(p), masterTitle) {
			out = append(out, p.PID)
		}
	}
	return out, nil
}

// SharesNamespace reports whether two processes are in the same namespace of a kind of namespaces(7), such as "pid" or
// "net"; false where that can't be told.
func SharesNamespace(kind string, a, b int) bool {
	of := func(pid int) string {
		name, _ := os.Readlink(Sockets{}.file(pid, "ns/"+kind))
		return name
	}
	return of(a) != "" && of(a) == of(b)
}

// Sees reports whether a process, of a container perhaps, finds at a path what this one finds there. Both may find
// nothing: then it doesn't.
func Sees(pid int, path string) bool {
	here, err := os.Stat(path)
	if err != nil {
		return false
	}
	there, err := os.Stat(Sockets{}.file(pid, "root/"+path))
	return err == nil && os.SameFile(here, there)
}
