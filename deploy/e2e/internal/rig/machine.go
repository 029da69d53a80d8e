package rig

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// debianPackages are what a Machine has beside Debian's minimum.
const debianPackages = "systemd,systemd-sysv,dbus,nginx,curl,logrotate,procps,zsh,fish,bash-completion,man-db"

// Machine is a Debian 12 of its own: a root file system made by debootstrap, systemd as its process 1, and a network
// that is loopback and nothing else. What is written to it is gone with the test.
type Machine struct {
	dir  string // of what was written to it
	base string
	proc *process
	init int // systemd, as this machine counts
}

// NewMachine makes one that isn't started yet.
func NewMachine(tb testing.TB) *Machine {
	tb.Helper()
	m := &Machine{dir: Dir(tb), base: debian(tb)}
	tb.Cleanup(func() { // before Dir's, which an ordinary user's could not
		m.PowerOff(tb)
		argv := m.inCgroup()
		WaitFor(tb, "the machine's cgroup to be empty", func() bool { return exec.Command(argv[0], argv[1:]...).Run() == nil })
		asRoot(tb, "rm", "-rf", filepath.Join(m.dir, "upper"), filepath.Join(m.dir, "work"))
	})
	for _, d := range []string{"upper", "work", "root", "cgroups"} {
		if err := os.Mkdir(filepath.Join(m.dir, d), 0o755); err != nil {
			tb.Fatalf("rig: make a machine: %v", err)
		}
	}
	return m
}

// making keeps two tests from making the root file system at once.
var making sync.Mutex

// debian is the root file system, made once for each user of this machine.
func debian(tb testing.TB) string {
	tb.Helper()
	making.Lock()
	defer making.Unlock()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	base := filepath.Join(cache, "conforma-status-e2e", "debian-12")
	list := filepath.Join(base, "packages") // beside root
	if data, err := os.ReadFile(list); err == nil && string(data) == debianPackages {
		return filepath.Join(base, "root")
	}
	if err := os.MkdirAll(filepath.Dir(base), 0o755); err != nil {
		tb.Fatalf("rig: make a Debian: %v", err)
	}
	made, err := os.MkdirTemp(filepath.Dir(base), "debian-12-")
	if err != nil {
		tb.Fatalf("rig: make a Debian: %v", err)
	}
	defer func() { asRoot(tb, "rm", "-rf", made) }() // does nothing once it is in place
	asRoot(tb, "debootstrap", "--variant=minbase", "--include="+debianPackages, "bookworm", filepath.Join(made, "root"))
	asRoot(tb, "sh", "-c", `rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/*`, "sh", filepath.Join(made, "root"))
	WriteFile(tb, filepath.Join(made, "packages"), debianPackages)
	asRoot(tb, "rm", "-rf", base)
	if err := os.Rename(made, base); err != nil {
		tb.Fatalf("rig: make a Debian: %v", err)
	}
	return filepath.Join(base, "root")
}

// asRoot runs a command as root, which has to succeed.
func asRoot(tb testing.TB, argv ...string) {
	tb.Helper()
	argv = rootly(argv...)
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		tb.Fatalf("rig: %s: %v\n%s", strings.Join(argv, " "), err, tail(out))
	}
}

func rootly(argv ...string) []string {
	if os.Geteuid() == 0 {
		return argv
	}
	return append([]string{"sudo", "-n"}, argv...)
}

func tail(out []byte) []byte { return out[max(0, len(out)-4000):] }

// ownCgroup runs a command, which follows, in a cgroup of its own, or with nothing to run removes that. Two machines
// in one would take each other's services for their own. $1 is a directory to mount cgroups at, where nobody else
// sees them; $2 is the cgroup's name.
const ownCgroup = `
mount -t cgroup2 cgroup2 "$1"
cgroup=$1$(sed -n 's/^0:://p' /proc/self/cgroup)/$2
shift 2
if [ $# = 0 ]; then
  if [ -d "$cgroup" ]; then find "$cgroup" -depth -type d -exec rmdir {} +; fi
  exit
fi
mkdir -p "$cgroup"
echo $$ >"$cgroup/cgroup.procs"
exec "$@"
`

// inCgroup is the command as root, in the machine's own cgroup.
func (m *Machine) inCgroup(argv ...string) []string {
	return append(rootly("unshare", "--mount", "sh", "-euc", ownCgroup, "sh", filepath.Join(m.dir, "cgroups"), "conforma-status-"+filepath.Base(m.dir)), argv...)
}

// boot mounts what a container has (https://systemd.io/CONTAINER_INTERFACE/) in namespaces of its own and becomes
// systemd.
const boot = `
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
cd "$2/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for d in null zero full random urandom tty; do touch dev/$d; mount --bind /dev/$d dev/$d; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mkdir -p .old
pivot_root . .old
umount -l /.old
mount --make-rshared /
exec env -i container=conforma-status-e2e PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd
`

// PowerOn boots it and returns once all that starts at boot has started, or failed.
func (m *Machine) PowerOn(tb testing.TB) {
	tb.Helper()
	argv := m.inCgroup("unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child", "sh", "-euc", boot, "sh", m.base, m.dir)
	m.proc = startProcess(tb, exec.Command(argv[0], argv[1:]...))
	WaitFor(tb, "systemd", func() bool {
		if m.proc.hasExited() {
			tb.Fatalf("rig: the machine did not start:\n%s", m.proc.output(tb))
		}
		m.init = systemdBelow(m.proc.cmd.Process.Pid)
		return m.init != 0
	})
	m.Await(tb, "all to start that starts at boot", "case $(systemctl is-system-running) in running | degraded) ;; *) systemctl list-jobs; exit 1 ;; esac")
}

// Await waits until a shell script succeeds on the machine.
func (m *Machine) Await(tb testing.TB, what, script string) {
	tb.Helper()
	var last Result
	defer func() {
		if tb.Failed() {
			tb.Logf("%s: exit code %d\n%s%s", script, last.Code, last.Stdout, last.Stderr)
		}
	}()
	WaitFor(tb, what, func() bool {
		last = m.Run(tb, script)
		return last.Code == 0
	})
}

// systemdBelow finds the process that runs as systemd among the descendants of pid, 0 for none.
func systemdBelow(pid int) int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0
	}
	for _, child := range strings.Fields(string(data)) {
		n, err := strconv.Atoi(child)
		if err != nil {
			continue
		}
		if comm, err := os.ReadFile("/proc/" + child + "/comm"); err == nil && string(comm) == "systemd\n" {
			return n
		}
		if below := systemdBelow(n); below != 0 {
			return below
		}
	}
	return 0
}

// PowerOff ends it at once, as a power cut does. What was written stays for the next PowerOn.
func (m *Machine) PowerOff(tb testing.TB) {
	tb.Helper()
	if m.proc != nil {
		m.proc.stop(tb, syscall.SIGKILL, 0)
		if m.init != 0 {
			WaitFor(tb, "the machine to end", func() bool { return errors.Is(syscall.Kill(m.init, 0), syscall.ESRCH) })
		}
	}
	m.proc, m.init = nil, 0
}

// Run runs a shell script on the machine.
func (m *Machine) Run(tb testing.TB, script string) Result {
	tb.Helper()
	argv := rootly("nsenter", "-t", strconv.Itoa(m.init), "-m", "-p", "-n", "-u", "-i", "-C", "-r", "-w",
		"env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive",
		"AWS_EC2_METADATA_DISABLED=true", "sh", "-c", script)
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		tb.Fatalf("rig: run on the machine: %v", err)
	}
	return Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode(), Worked: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
}

// Path is where this machine finds what was written to a path of a Machine that is off, or is to be written before it
// starts.
func (m *Machine) Path(path string) string { return filepath.Join(m.dir, "upper", path) }
