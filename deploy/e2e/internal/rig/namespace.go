package rig

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Namespace is a view of the file system of its own, in which some directories are small and lie in memory. It goes
// with the test, and nobody else sees it. An ordinary user gets one where the kernel has user namespaces.
type Namespace struct{ holder *process }

// NewNamespace makes one in which each of the directories, which exist, is empty and has room for 256 KiB.
func NewNamespace(tb testing.TB, dirs ...string) *Namespace {
	tb.Helper()
	flags := "-m"
	if os.Geteuid() != 0 {
		flags = "-rm"
	}
	const script = `for d; do mount -t tmpfs -o size=256k,mode=755 none "$d" || exit 1; done; echo ready; exec sleep 1d`
	n := &Namespace{startProcess(tb, exec.Command("unshare", append([]string{flags, "sh", "-c", script, "sh"}, dirs...)...))}
	WaitFor(tb, "the namespace", func() bool {
		if n.holder.hasExited() {
			tb.Fatalf("rig: make a namespace: %s", n.holder.output(tb))
		}
		return n.holder.output(tb) == "ready\n"
	})
	return n
}

// Before is the command that runs another one in the namespace.
func (n *Namespace) Before() []string {
	before := []string{"nsenter", "-m", "-t", strconv.Itoa(n.holder.cmd.Process.Pid)}
	if os.Geteuid() != 0 {
		before = append(before, "-U", "--preserve-credentials")
	}
	return before
}

// Path is where the tests find a file of the namespace.
func (n *Namespace) Path(path string) string {
	return "/proc/" + strconv.Itoa(n.holder.cmd.Process.Pid) + "/root" + path
}

// Run runs a command in the namespace, which has to succeed.
func (n *Namespace) Run(tb testing.TB, argv ...string) {
	tb.Helper()
	argv = append(n.Before(), argv...)
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		tb.Fatalf("rig: %v: %v\n%s", argv, err, out)
	}
}

// StartIn is Start for an nginx that sees what is in the namespace.
func (n *Nginx) StartIn(tb testing.TB, ns *Namespace) {
	tb.Helper()
	argv := append(ns.Before(), n.Args("-g", "daemon off;")...)
	n.launch(tb, exec.Command(argv[0], argv[1:]...)) // nsenter becomes nginx
}

// StartContained is Start for an nginx in a container: it counts its processes for itself, from 1, and its nginx.conf
// is to be seen in there only, and nothing of what other tests have. In is the container's network, nil for this
// machine's. It returns the command that runs another one in there, as "docker exec" does.
func (n *Nginx) StartContained(tb testing.TB, in *Network) (inside []string) {
	tb.Helper()
	before, flags, enter := []string{"unshare"}, []string{"-pmf"}, []string{"nsenter", "-p", "-m"}
	if in != nil {
		before, enter = append(in.Before(), "unshare"), append(enter, "-n")
	}
	if os.Geteuid() != 0 {
		flags, enter = []string{"-rpmf"}, append(enter, "-U", "--preserve-credentials")
	}
	conf, err := os.ReadFile(n.Conf)
	if err != nil {
		tb.Fatalf("rig: read nginx's configuration: %v", err)
	}
	if os.Geteuid() != 0 { // in there is nobody but root
		conf = append([]byte("user root root;\n"), conf...)
	}
	n.Conf = filepath.Join(n.Dir, "inside", "nginx.conf")
	WriteFile(tb, n.Conf, "outside there is another one")
	script := `set -e; cd "$1"; mount -t tmpfs none "${1%/*}"; mkdir "$1"; mount -c --bind . "$1"; cd "$1/inside"
mount -t tmpfs none .; cd "$1/inside"; printf %s "$2" >nginx.conf; shift 2; exec "$@"`
	if n.MountConf {
		script = strings.Replace(script, "mount -t tmpfs none .; cd", "cd", 1)
	}
	argv := append(append(before, flags...), "--kill-child", "--mount-proc", "sh", "-c", script, "sh", n.Dir, string(conf))
	n.proc = startProcess(tb, exec.Command(argv[0], append(argv[1:], n.Args("-g", "daemon off;")...)...))
	self := strconv.Itoa(n.proc.cmd.Process.Pid)
	WaitFor(tb, "nginx to start", func() bool {
		if n.proc.hasExited() {
			tb.Fatalf("rig: nginx did not start:\n%s", n.proc.output(tb))
		}
		pid, err := n.readPID()
		return err == nil && pid == 1
	})
	children, err := os.ReadFile("/proc/" + self + "/task/" + self + "/children")
	if err != nil {
		tb.Fatalf("rig: find nginx: %v", err)
	}
	return append(enter, "-t", strings.TrimSpace(string(children)))
}

// InOwnNetwork has a test run again, in a process with a network namespace of its own: what it does there is seen by
// none of the tests that run beside it, and it sees none of theirs. It reports whether this is that process; the other
// one has nothing left to do. Only root can have it.
func InOwnNetwork(t *testing.T) bool {
	t.Helper()
	const inside = "RIG_OWN_NETWORK"
	if os.Getenv(inside) != "" {
		return true
	}
	const script = `ip link set lo up && exec "$@"`
	cmd := exec.Command("unshare", "-n", "sh", "-c", script, "sh", os.Args[0], "-test.v", "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), inside+"=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("in a network of its own: %v\n%s", err, out)
	}
	return false
}
