package workers

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Worker is a process that may open connections for nginx, with the user and group whose its sockets are
// (setfsuid(2)).
type Worker struct {
	Process
	User, Group uint32 // as this process counts
}

// How nginx titles its workers, and every process that it starts (ngx_setproctitle), whatever its program is called.
const (
	workerTitle = "nginx: worker process"
	anyTitle    = "nginx: "
)

// Workers returns the workers of all nginx in the network namespace of a master process: its own, those of a master
// that is gone, and those of other masters, of other users too. The errors are those of Program, or what keeps /proc
// from being read.
func (s Sockets) Workers(master int) ([]Worker, error) {
	program, err := s.Program(master)
	if err != nil {
		return nil, err
	}
	procs, err := s.all()
	if err != nil {
		return nil, err
	}
	there := s.network(master)
	var out []Worker
	for _, p := range procs {
		comm, err := s.comm(p)
		if err != nil {
			continue // gone meanwhile
		}
		switch text := s.title(p); {
		case strings.HasPrefix(text, masterTitle), comm != program && !strings.HasPrefix(text, workerTitle):
			continue
		case !strings.HasPrefix(text, anyTitle): // such as nginx -t, which has no title at its beginning and at its end
			continue
		}
		if network := s.network(p.PID); network != there && network != "" && there != "" {
			continue
		}
		stat, err := p.Stat()
		if err != nil || stat.State == "Z" || stat.State == "X" {
			continue // gone meanwhile
		}
		users, groups, err := s.owners(p)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look at process %d: %w", p.PID, err)
		}
		out = append(out, Worker{Process{p.PID, stat.Starttime}, users[fileSystem], groups[fileSystem]})
	}
	return out, nil
}
