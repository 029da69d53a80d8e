//go:build linux

package barrier

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// asProgram has the test binary be another program: it listens at the address that this is set to, if it isn't "-",
// and dials whatever address it reads. Its root directory is inRoot, if that is set.
const (
	asProgram = "CONFORMA_STATUS_TEST_PROGRAM"
	inRoot    = "CONFORMA_STATUS_TEST_ROOT"
)

func beProgram() {
	if root := os.Getenv(inRoot); root != "" {
		if err := syscall.Chroot(root); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	if address := os.Getenv(asProgram); address != "-" {
		l, err := net.Listen("tcp4", address)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		go func() {
			for {
				if _, err := l.Accept(); err != nil {
					return
				}
			}
		}()
	}
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		c, err := net.Dial("tcp", lines.Text())
		if err == nil {
			c.Close()
		}
		fmt.Println(errors.Is(err, unix.ECONNREFUSED), err)
	}
	os.Exit(0)
}

// program is a process of its own.
type program struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// start starts one that is called title and does what asProgram says.
func (h *host) start(title, listens string, as *syscall.SysProcAttr) program {
	h.t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = strings.Split(title, "|")
	cmd.SysProcAttr = as
	return h.run(cmd, listens)
}

// startIn starts one in the namespaces of a container, as one of its users.
func (h *host) startIn(container program, title string, id uint32) program {
	h.t.Helper()
	number := strconv.Itoa(int(id))
	cmd := exec.Command("nsenter", "-U", "-n", "-t", strconv.Itoa(container.Process.Pid), "-S", number, "-G", number,
		"bash", "-c", `exec -a "$0" /proc/self/fd/3`, title)
	self, err := os.Open("/proc/self/exe")
	h.must(err)
	defer self.Close()
	cmd.ExtraFiles = []*os.File{self}
	return h.run(cmd, "-")
}

func (h *host) run(cmd *exec.Cmd, listens string) program {
	h.t.Helper()
	// The race detector has each program sleep for a second at its end.
	cmd.Env = append(os.Environ(), append(cmd.Env, asProgram+"="+listens, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	h.must(err)
	out, err := cmd.StdoutPipe()
	h.must(err)
	h.must(h.do(cmd.Start))
	p := program{cmd, in, bufio.NewScanner(out)}
	h.t.Cleanup(p.stop)
	if got := p.read(); got != "ready" {
		h.t.Fatalf("%v doesn't start: %s", cmd.Args, got)
	}
	return p
}

func (p program) read() string {
	p.out.Scan()
	return p.out.Text()
}

func (p program) stop() {
	p.in.Close()
	_ = p.Wait()
}

// isRefused has the program connect to an address.
func (p program) isRefused(address string) bool {
	fmt.Fprintln(p.in, address)
	return strings.HasPrefix(p.read(), "true")
}

func user(id uint32) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
}

const masterTitle, workerTitle = "nginx: master process /usr/sbin/nginx", "nginx: worker process"

// users are those of the workers of a master.
func (h *host) users(master program) []User {
	h.t.Helper()
	users, _, err := Barrier{}.Who(master.Process.Pid, nil)
	h.must(err)
	return users
}

// TestUsers finds the workers of every nginx in the namespace, whoever their user is, and nobody else.
func TestUsers(t *testing.T) {
	needUsers(t)
	h, elsewhere := newHost(t), newHost(t)
	h.listen("127.0.0.1:8000")
	master := h.start(masterTitle, "-", user(root))
	tried := map[uint32]program{
		www:    h.start(workerTitle, "-", user(www)),
		nobody: h.start(workerTitle+" is shutting down", "-", user(nobody)),
		1001:   h.start(workerTitle, "-", user(1001)), // of another master
	}
	h.start(masterTitle, "-", user(1001))
	h.start(workerTitle, "-", user(www))
	php := h.start("php-fpm: pool www", "-", user(33001))
	h.start("nginx|-t", "-", user(root))
	elsewhere.start(workerTitle, "-", user(1002))
	users := h.users(master)
	slices.SortFunc(users, func(a, b User) int { return int(a.ID) - int(b.ID) })
	want := []User{{www, www, www}, {1001, 1001, 1001}, {nobody, nobody, nobody}}
	if !slices.Equal(users, want) {
		t.Fatalf("users are %+v, not %+v", users, want)
	}
	r := h.closed("127.0.0.1:8000")
	r.Users = IDs(users)
	h.load(r)
	h.must(h.table().Prove(t.Context(), r, users))
	for id, p := range tried {
		if !p.isRefused("127.0.0.1:8000") {
			t.Errorf("the worker of user %d gets through", id)
		}
	}
	if php.isRefused("127.0.0.1:8000") {
		t.Error("php-fpm doesn't get through")
	}
	rooted := h.start(workerTitle, "-", user(root))
	users = h.users(master)
	r.Users = IDs(users)
	h.load(r)
	h.must(h.table().Prove(t.Context(), r, users))
	if !rooted.isRefused("127.0.0.1:8000") {
		t.Error("the worker of root gets through")
	}
	if _, _, err := (Barrier{}).Who(php.Process.Pid, nil); !errors.Is(err, workers.ErrNotMaster) {
		t.Errorf("users of a process that isn't nginx: %v", err)
	}
}

// TestUserNamespace has nginx run as in a container of a Docker that maps its users: its network namespace counts
// them otherwise.
func TestUserNamespace(t *testing.T) {
	needUsers(t)
	h := newHost(t)
	mapped := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 100000, Size: 65536}}
	master := h.start(masterTitle, "127.0.0.1:8000", &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET, UidMappings: mapped, GidMappings: mapped,
		GidMappingsEnableSetgroups: true, Credential: &syscall.Credential{},
	})
	h.Network = workers.Of(master.Process.Pid)
	out, err := exec.Command("nsenter", "-n", "-t", strconv.Itoa(master.Process.Pid), "ip", "link", "set", "lo", "up").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	worker := h.startIn(master, workerTitle, www)
	users := h.users(master)
	if want := []User{{www, 100000 + www, 100000 + www}}; !slices.Equal(users, want) {
		t.Fatalf("users are %+v, not %+v", users, want)
	}
	if worker.isRefused("127.0.0.1:8000") {
		t.Fatal("refused before anything was loaded")
	}
	r := h.closed("127.0.0.1:8000")
	r.Users = IDs(users)
	h.load(r)
	h.must(h.table().Prove(t.Context(), r, users))
	if !worker.isRefused("127.0.0.1:8000") {
		t.Error("the worker gets through")
	}
	// By the id that this process knows nobody would be refused, and the proof tells.
	r.Users = []uint32{users[0].Here}
	h.load(r)
	if err := h.table().Prove(t.Context(), r, users); !errors.Is(err, ErrNotProven) {
		t.Errorf("proven: %v", err)
	}
}

// TestExempt has an application with the user id of nginx's workers, which talks to itself: it isn't kept from that
// by its cgroup, until that is another one at the same path.
func TestExempt(t *testing.T) {
	needUsers(t)
	top := mountedAt()
	if top == "" {
		leaveOut(t, "no cgroups of version 2 are mounted")
	}
	h := newHost(t)
	name := fmt.Sprintf("conforma-status-test-%d", os.Getpid())
	dir := filepath.Join(top, name)
	group := func(title, listens, path string) program {
		h.must(os.MkdirAll(path, 0o755))
		fd, err := unix.Open(path, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		h.must(err)
		defer unix.Close(fd)
		as := user(www)
		as.UseCgroupFD, as.CgroupFD = true, fd
		return h.start(title, listens, as)
	}
	t.Cleanup(func() {
		eventually(t, "the cgroup can be removed", func() bool { return os.Remove(dir) == nil })
	})
	master := h.start(masterTitle, "-", user(root))
	app := group("app", "127.0.0.1:8000", dir)
	worker := h.start(workerTitle, "-", user(www))
	find := func() Rules {
		r := h.closed("127.0.0.1:8000")
		users, exempt, err := Barrier{}.Who(master.Process.Pid, r.Sites[0].Ends)
		h.must(err)
		r.Users, r.Exempt = IDs(users), exempt
		return r
	}
	r := find()
	if len(r.Exempt) != 1 || r.Exempt[0].Path != "/"+name || r.Exempt[0].Level != 1 {
		t.Fatalf("exempt is %+v", r.Exempt)
	}
	h.load(r)
	if app.isRefused("127.0.0.1:8000") {
		t.Error("the application can't talk to itself")
	}
	if !worker.isRefused("127.0.0.1:8000") {
		t.Error("the worker gets through")
	}
	h.must(h.table().Prove(t.Context(), r, []User{{www, www, www}}))
	before := h.read().Nginx(r.Sites[0])

	// Made anew at the same path, as by systemctl restart.
	app.stop()
	eventually(t, "the cgroup can be removed", func() bool { return os.Remove(dir) == nil })
	app = group("app", "127.0.0.1:8000", dir)
	if !app.isRefused("127.0.0.1:8000") {
		t.Error("another cgroup at the same path is exempt")
	}
	r = find()
	if how, less := h.read().Differs(r); how == "" || less {
		t.Errorf("the new cgroup isn't seen: %q, less: %v", how, less)
	}
	h.load(r)
	if app.isRefused("127.0.0.1:8000") {
		t.Error("the application can't talk to itself after its restart")
	}
	if got := h.read().Nginx(r.Sites[0]); got.Refused != before.Refused+1 {
		t.Errorf("the counters don't go on: %+v, %+v", before, got)
	}

	// A worker in the same cgroup would be exempt with it.
	inside := group(workerTitle, "-", dir)
	r = find()
	if len(r.Exempt) != 0 {
		t.Fatalf("exempt is %+v with a worker in it", r.Exempt)
	}
	h.load(r)
	if !inside.isRefused("127.0.0.1:8000") {
		t.Error("the worker in the application's cgroup gets through")
	}
}
