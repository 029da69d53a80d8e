package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Nginx is a real nginx with a prefix, pid file, error log and temporary directories of its own. When
// the tests run as root its workers run as User, as on a real host; else they run as the current user.
type Nginx struct {
	Dir  string // prefix: an absolute path
	Conf string // nginx.conf, below Dir
	User string // "www-data" unless it is set before Configure; only read when running as root
	// Program is the path of nginx's binary, by default Debian's; set it before Args is first called.
	Program string
	// MountConf has a container get its nginx.conf, and what lies beside it, from the machine: read by StartContained.
	MountConf bool
	proc      *process
}

// NewNginx returns an nginx that has no configuration yet and doesn't run.
func NewNginx(tb testing.TB) *Nginx {
	tb.Helper()
	dir := Dir(tb)
	for _, sub := range []string{"log", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			tb.Fatalf("rig: make nginx's directories: %v", err)
		}
	}
	return &Nginx{Dir: dir, Conf: filepath.Join(dir, "nginx.conf"), User: "www-data"}
}

// Configure writes an nginx.conf with the content of its http block, and leaves a running nginx alone.
func (n *Nginx) Configure(tb testing.TB, http string) {
	tb.Helper()
	user := ""
	if os.Geteuid() == 0 {
		user = "user " + n.User + ";\n"
	}
	WriteFile(tb, n.Conf, fmt.Sprintf(`%sworker_processes 2;
pid %s;
error_log log/error.log info;
events { worker_connections 512; }
http {
    access_log off;
    client_body_temp_path tmp/body;
    proxy_temp_path tmp/proxy;
    fastcgi_temp_path tmp/fastcgi;
    uwsgi_temp_path tmp/uwsgi;
    scgi_temp_path tmp/scgi;
%s%s}
`, user, n.PIDFile(), patientNginx+os.Getenv(nginxHTTPVariable)+"\n", http))
}

// malloc, as the environment variable mallocEnv, has nginx keep the memory that it frees. By default it asks the
// kernel anew for the tables of each map that it reads, which took a fifth of the processor's time of these tests.
// https://sourceware.org/glibc/manual/latest/html_node/Memory-Allocation-Tunables.html
const (
	mallocEnv = "GLIBC_TUNABLES"
	malloc    = "glibc.malloc.mmap_threshold=33554432:glibc.malloc.top_pad=4194304"
)

// patientNginx has nginx wait for both sides as long as a test may take: by default it ends what was silent for a
// minute.
const patientNginx = `    keepalive_timeout 1h;
    client_header_timeout 1h;
    client_body_timeout 1h;
    send_timeout 1h;
    proxy_read_timeout 1h;
    proxy_send_timeout 1h;
`

// PIDFile returns the absolute path of the master's pid file, which exists while nginx runs.
func (n *Nginx) PIDFile() string { return filepath.Join(n.Dir, "nginx.pid") }

// Args returns the command line that runs this nginx with the given arguments: ["nginx", "-p", …].
func (n *Nginx) Args(args ...string) []string {
	program := n.Program
	if program == "" {
		program = nginxPath()
	}
	return append([]string{program, "-p", n.Dir, "-c", n.Conf}, args...)
}

// Start starts nginx and returns once it listens on all its ports.
func (n *Nginx) Start(tb testing.TB) {
	tb.Helper()
	args := n.Args("-g", "daemon off;")
	n.launch(tb, exec.Command(args[0], args[1:]...))
}

// launch runs the command, which has to become nginx.
func (n *Nginx) launch(tb testing.TB, cmd *exec.Cmd) {
	tb.Helper()
	if n.proc != nil && !n.proc.hasExited() {
		tb.Fatal("rig: nginx is running already")
	}
	n.proc = startProcess(tb, cmd)
	// nginx binds its ports first and writes the pid file then.
	WaitFor(tb, "nginx to start", func() bool {
		if n.proc.hasExited() {
			tb.Fatalf("rig: nginx did not start:\n%s", n.proc.output(tb))
		}
		pid, err := n.readPID()
		return err == nil && pid == n.proc.cmd.Process.Pid
	})
}

// Stop ends nginx the graceful way, and the fast way where that takes longer than a second because a client stays
// connected: either takes the pid file away. Stopping an nginx that doesn't run does nothing.
func (n *Nginx) Stop(tb testing.TB) {
	tb.Helper()
	if n.proc != nil {
		n.proc.ask(syscall.SIGQUIT, time.Second)
		n.proc.stop(tb, syscall.SIGTERM, Patience)
	}
}

// Kill ends the master and its workers at once, as a crash of the machine would.
func (n *Nginx) Kill(tb testing.TB) {
	tb.Helper()
	if n.proc != nil {
		n.proc.stop(tb, syscall.SIGKILL, time.Second)
	}
}

// PID returns the process id of the running master.
func (n *Nginx) PID(tb testing.TB) int {
	tb.Helper()
	pid, err := n.readPID()
	if err != nil {
		tb.Fatalf("rig: nginx's pid: %v", err)
	}
	return pid
}

func (n *Nginx) readPID() (int, error) {
	data, err := os.ReadFile(n.PIDFile())
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(data)))
}

// ErrorLog returns all that nginx has logged so far, at level info and above.
func (n *Nginx) ErrorLog(tb testing.TB) string {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(n.Dir, "log", "error.log"))
	if err != nil && !os.IsNotExist(err) {
		tb.Fatalf("rig: read nginx's log: %v", err)
	}
	return string(data)
}

// nginxPath finds nginx also where Debian keeps it, which is not on an ordinary user's PATH.
func nginxPath() string {
	if other := os.Getenv(nginxVariable); other != "" {
		return other
	}
	if path, err := exec.LookPath("nginx"); err == nil {
		return path
	}
	return "/usr/sbin/nginx"
}
