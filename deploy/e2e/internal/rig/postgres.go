package rig

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Postgres is a real PostgreSQL with a data directory and a unix socket of its own, and no TCP port. Anybody on
// this machine may connect, as any role: its superuser is "postgres". The server runs as "nobody" when the tests
// run as root, which it refuses to run as, and else as the current user.
type Postgres struct {
	Dir  string // of the socket: psql's -h
	Data string // the data directory, there from NewPostgres on

	bin  string
	as   *syscall.Credential // nil for the current user
	proc *process
}

// NewPostgres makes the data directory of a server that doesn't run yet.
func NewPostgres(tb testing.TB) *Postgres {
	tb.Helper()
	p := &Postgres{Dir: Dir(tb), bin: postgresBin(tb)}
	p.Data = filepath.Join(p.Dir, "data")
	if err := os.Mkdir(p.Data, 0o700); err != nil {
		tb.Fatalf("rig: make PostgreSQL's directory: %v", err)
	}
	if os.Geteuid() == 0 {
		p.as = nobody(tb)
		for _, dir := range []string{p.Dir, p.Data} {
			if err := os.Chown(dir, int(p.as.Uid), int(p.as.Gid)); err != nil {
				tb.Fatalf("rig: make PostgreSQL's directory: %v", err)
			}
		}
	}
	out, err := p.program("initdb", "-D", p.Data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync").CombinedOutput()
	if err != nil {
		tb.Fatalf("rig: make PostgreSQL's data directory: %v\n%s", err, out)
	}
	return p
}

// Start starts the server and returns once it takes connections.
func (p *Postgres) Start(tb testing.TB) {
	tb.Helper()
	p.proc = startProcess(tb, p.program("postgres", "-D", p.Data, "-F", "-c", "listen_addresses=", "-c",
		"unix_socket_directories="+p.Dir, "-c", "max_prepared_transactions=8", "-c", "shared_buffers=16MB"))
	// Its processes lead groups of their own, so it has to end them itself.
	tb.Cleanup(func() { p.Stop(tb) })
	WaitFor(tb, "PostgreSQL to start", func() bool {
		if p.proc.hasExited() {
			tb.Fatalf("rig: PostgreSQL did not start:\n%s", p.proc.output(tb))
		}
		return p.Psql("postgres", "-c", "SELECT 1").Run() == nil
	})
}

// Stop ends the server with all its sessions. Stopping one that has ended does nothing.
func (p *Postgres) Stop(tb testing.TB) {
	tb.Helper()
	p.proc.stop(tb, syscall.SIGQUIT, Patience)
}

// Psql returns a psql, not started yet, that connects to the database as the superuser. Options may follow.
func (p *Postgres) Psql(database string, more ...string) *exec.Cmd {
	args := append([]string{"-h", p.Dir, "-U", "postgres", "-d", database}, more...)
	cmd := exec.Command(filepath.Join(p.bin, "psql"), args...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + p.Dir, "LC_ALL=C"}
	return cmd
}

// Query runs statements as the superuser, each by itself, and returns what they answered: a row a line, columns between
// "|".
func (p *Postgres) Query(tb testing.TB, database string, statements ...string) string {
	tb.Helper()
	args := []string{"-XqAt", "-v", "ON_ERROR_STOP=1"}
	for _, s := range statements {
		args = append(args, "-c", s)
	}
	var stderr bytes.Buffer
	cmd := p.Psql(database, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("rig: query PostgreSQL: %v\n%s", err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// Session is a connection to a Postgres that stays open until the test ends.
type Session struct {
	proc  *process
	stdin io.Writer
	done  int // how often it was waited for
}

// Session connects to the database. Options for psql may follow.
func (p *Postgres) Session(tb testing.TB, database string, more ...string) *Session {
	tb.Helper()
	cmd := p.Psql(database, append([]string{"-XqAt"}, more...)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatalf("rig: start a session: %v", err)
	}
	s := &Session{proc: startProcess(tb, cmd), stdin: stdin}
	s.Wait(tb)
	return s
}

// Send hands the session a statement and doesn't wait for it.
func (s *Session) Send(tb testing.TB, statement string) {
	tb.Helper()
	if _, err := fmt.Fprintln(s.stdin, statement); err != nil {
		tb.Fatalf("rig: send %q: %v\n%s", statement, err, s.proc.output(tb))
	}
}

// Do has the session run statements, which may fail, and returns when PostgreSQL has done with the last of them.
func (s *Session) Do(tb testing.TB, statements ...string) {
	tb.Helper()
	for _, statement := range statements {
		s.Send(tb, statement)
	}
	s.Wait(tb)
}

// Wait returns when PostgreSQL has done with all that was sent.
func (s *Session) Wait(tb testing.TB) {
	tb.Helper()
	s.done++
	mark := fmt.Sprintf("done %d\n", s.done)
	s.Send(tb, `\echo `+strings.TrimSpace(mark))
	WaitFor(tb, "a session to be done", func() bool {
		if s.proc.hasExited() {
			tb.Fatalf("rig: the session ended:\n%s", s.proc.output(tb))
		}
		return strings.Contains(s.proc.output(tb), mark)
	})
}

func (p *Postgres) program(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	cmd.Dir, cmd.Env = p.Dir, []string{"PATH=/usr/bin:/bin", "HOME=" + p.Dir, "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	return cmd
}

// postgresBin returns the directory with PostgreSQL's programs, also where Debian keeps them: on nobody's PATH.
func postgresBin(tb testing.TB) string {
	tb.Helper()
	initdb, err := exec.LookPath("initdb")
	if err == nil {
		initdb, err = filepath.EvalSymlinks(initdb) // the others may not be linked to
	} else if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); len(found) > 0 {
		initdb, err = found[len(found)-1], nil
	}
	if err != nil {
		tb.Fatalf("rig: find PostgreSQL's server: %v", err)
	}
	return filepath.Dir(initdb)
}

// nobody is the user of that name, as processes are started as.
func nobody(tb testing.TB) *syscall.Credential {
	tb.Helper()
	u, err := user.Lookup("nobody")
	if err != nil {
		tb.Fatalf("rig: %v", err)
	}
	uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
	if uidErr != nil || gidErr != nil {
		tb.Fatalf("rig: nobody's ids: %s, %s", u.Uid, u.Gid)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}
