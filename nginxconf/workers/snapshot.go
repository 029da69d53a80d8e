package workers

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Snapshot is which workers of nginx there were before a reload.
type Snapshot struct {
	master    int
	program   string // of nginx, as in proc(5)'s comm
	processes map[Process]process
	tick      uint64
	answered  map[int]bool // by process id
}

// Snapshot notes the workers there are beside nginx's master process. Call it before a reload and let at least a
// tick (10 ms) pass: what starts later is then told apart. The errors are those of Program, or what keeps /proc
// from being read.
func (s Sockets) Snapshot(master int) (b Snapshot, err error) {
	b.master = master
	if b.program, err = s.Program(master); err != nil {
		return b, err
	}
	there, err := s.processes(b.program)
	if err != nil {
		return b, err
	}
	b.processes = map[Process]process{}
	for _, p := range there {
		b.processes[p.Process] = p
	}
	b.tick, err = s.now()
	return b, err
}

// now is the time in clock ticks since boot. The kernel counts a process's start in the same ticks
// (CLOCK_BOOTTIME; USER_HZ is 100 on every platform that Go supports).
func (s Sockets) now() (uint64, error) {
	data, err := os.ReadFile(filepath.Join(s.procDir(), "uptime"))
	if err != nil {
		return 0, fmt.Errorf("look at this machine's processes: %w", err)
	}
	seconds, _, _ := strings.Cut(string(data), " ")
	whole, hundredths, _ := strings.Cut(seconds, ".")
	n, err := strconv.ParseUint(whole+hundredths, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the uptime: %w", err)
	}
	return n, nil
}

// NoteAnswer notes that this process has answered by the rules that the reload brought.
func (b *Snapshot) NoteAnswer(pid int) {
	if b.answered == nil {
		b.answered = map[int]bool{}
	}
	b.answered[pid] = true
}

// AnyAnswered reports whether any process was noted by NoteAnswer.
func (b Snapshot) AnyAnswered() bool { return len(b.answered) > 0 }

// Contains reports whether a process with this id was there before the reload that followed b.
func (b Snapshot) Contains(pid int) bool {
	_, was := b.find(pid)
	return was
}

// find returns the process with this id that was there before the reload that followed b.
func (b Snapshot) find(pid int) (_ Process, was bool) {
	for p := range b.processes {
		if p.PID == pid {
			return p, true
		}
	}
	return Process{}, false
}

// NotTold reports whether a worker with this id was there before the reload that followed b and is not of nginx's
// master, but of another one: it never learns of the reload.
func (b Snapshot) NotTold(pid int) bool {
	w, was := b.find(pid)
	return was && !b.processes[w].master && b.processes[w].parent != b.master
}

// Orphan returns the worker with this id that is NotTold because the master that it had is gone.
func (b Snapshot) Orphan(pid int) (w Process, is bool) {
	w, _ = b.find(pid)
	return w, b.NotTold(pid) && !b.Contains(b.processes[w].parent)
}

// WasShuttingDown reports whether the worker was shutting down before the reload that followed b.
func (b Snapshot) WasShuttingDown(p Process) bool { return b.processes[p].shuttingDown }

// generation is the time, in ticks, that nginx lets pass between two generations of workers at least (100 ms:
// ngx_msleep in ngx_master_process_cycle).
const generation = 10

// since is the tick that separates the workers from before the reload that followed b from those after it. Somebody
// else's reload may have been under way then: it starts workers by what nginx had read before, and tells them to leave
// only when the next ones have started. So the generation begins with the worker that first answered by the new rules.
func (b Snapshot) since(ps processes) uint64 {
	first, any := uint64(0), false
	for pid := range b.answered {
		if w := ps[pid]; w.PID == pid && w.parent == b.master && (!any || w.Start < first) {
			first, any = w.Start, true
		}
	}
	if !any || first < b.tick+generation {
		return b.tick
	}
	return first - generation
}

// old reports whether a worker is from before the reload that followed b, see since.
func (b Snapshot) old(w process, since uint64) bool {
	_, was := b.processes[w.Process]
	return w.shuttingDown || was || w.Start <= since
}
