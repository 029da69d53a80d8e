package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
	"github.com/msupply-foundation/conforma-status/status/store"
)

const (
	// patience is how long something on this machine may take that takes a fraction of a second.
	patience = time.Minute
	// grace is how long a program may take to end when it is asked to.
	grace = 5 * time.Second
	// poll is how often something that is waited for is looked at.
	poll = 10 * time.Millisecond
)

// demo is all that runs for the demonstration. It lives in one directory and on loopback.
type demo struct {
	terminal *terminal.Terminal
	self     string // this program
	dir      string
	app      *app
	appURL   string         // of the application through nginx, without a slash at the end
	pageURL  string         // of the maintenance page, with one
	undo     []func() error // takes down what was put up, last first
}

func (d *demo) path(name ...string) string { return filepath.Join(append([]string{d.dir}, name...)...) }

// putUp starts everything but doesn't switch anything yet. What it has put up when it fails is taken down by takeDown.
func (d *demo) putUp(ctx context.Context) error {
	nginx, err := findNginx(os.Getenv("PATH"))
	if err != nil {
		return err
	}
	if d.self, err = os.Executable(); err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if d.dir, err = os.MkdirTemp(parent(os.TempDir()), "cs-demo-"); err != nil {
		return err
	}
	d.undo = append(d.undo, func() error { return os.RemoveAll(d.dir) })
	if os.Geteuid() == 0 { // nginx's workers are another user then, who has to enter it
		if err := os.Chmod(d.dir, 0o711); err != nil {
			return err
		}
	}
	for _, name := range []string{"store", "tmp"} {
		if err := os.Mkdir(d.path(name), 0o755); err != nil {
			return err
		}
	}
	if err := d.configure(nginx); err != nil {
		return err
	}
	if err := d.command(ctx, "render"); err != nil {
		return err
	}
	if err := d.startNginx(ctx, nginx); err != nil {
		return fmt.Errorf("start nginx: %w", err)
	}
	if err := d.startGate(ctx); err != nil {
		return fmt.Errorf("start the gate: %w", err)
	}
	return d.command(ctx, "publish")
}

// takeDown ends what putUp has started.
func (d *demo) takeDown() error {
	var errs []error
	for _, undo := range slices.Backward(d.undo) {
		errs = append(errs, undo())
	}
	return errors.Join(errs...)
}

// configure starts the application and the maintenance server, and writes the configurations of nginx and of
// conforma-status.
func (d *demo) configure(nginx string) error {
	secret := rand.Text() + rand.Text() // 52 characters, 260 bits
	d.app = newApp([]byte(secret))
	upstream, err := d.serve(d.app.handler())
	if err != nil {
		return fmt.Errorf("start the application: %w", err)
	}
	location := "dir:" + d.path("store")
	st, err := store.Open(location, store.S3Options{})
	if err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	pages, err := d.serve(maintenanceServer(st))
	if err != nil {
		return fmt.Errorf("start the maintenance server: %w", err)
	}
	listen, release, err := holdAddress()
	if err != nil {
		return fmt.Errorf("find a free port: %w", err)
	}
	d.undo = append(d.undo, release)
	d.appURL, d.pageURL = "http://"+listen, "http://"+pages+"/demo/"

	var command []string
	for _, arg := range d.nginxCommand(nginx) {
		command = append(command, strconv.Quote(arg))
	}
	config := []string{"{NGINX}", strings.Join(command, ", ")}
	for word, value := range map[string]string{
		"STORE": location, "PAGE_URL": "http://" + pages, "STATE": d.path("state"), "CONF_DIR": d.path("nginx"),
		"PID_FILE": d.path("nginx.pid"), "SOCKET": d.path("run", "gate.sock"), "APP_URL": d.appURL, "UPSTREAM": upstream,
		"ENV_FILE": d.path("demo.env"),
	} {
		config = append(config, "{"+word+"}", strconv.Quote(value))
	}
	return errors.Join(
		os.WriteFile(d.path("demo.env"), []byte("JWT_SECRET="+secret+"\n"), 0o600),
		os.WriteFile(d.path("config.toml"), []byte(strings.NewReplacer(config...).Replace(embedded("config.toml"))), 0o644),
		os.WriteFile(d.path("nginx.conf"), []byte(strings.NewReplacer("{LISTEN}", listen, "{UPSTREAM}", upstream).
			Replace(embedded("nginx.conf"))), 0o644),
	)
}

// nginxCommand is the command line of the demo's nginx. -e (since 1.19.5) keeps it from opening the log of the
// system's.
func (d *demo) nginxCommand(nginx string) []string {
	return []string{nginx, "-e", d.path("nginx.log"), "-p", d.dir, "-c", d.path("nginx.conf")}
}

// serve serves h on a free port of loopback, and returns its address.
func (d *demo) serve(h http.Handler) (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: patience, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(l) }() // until it is closed
	d.undo = append(d.undo, server.Close)
	return l.Addr().String(), nil
}

// maintenanceServer serves the files of a store as a bucket or a web server would. Its ETags come from the content: by
// its date, a status that changes twice within a second would look the same.
func maintenanceServer(st store.Store) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := strings.TrimPrefix(r.URL.Path, "/")
		if key == "" || strings.HasSuffix(key, "/") {
			key += "index.html"
		}
		data, etag, err := st.Get(r.Context(), key)
		switch {
		case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrKey):
			http.NotFound(w, r)
			return
		case err != nil:
			http.Error(w, http.StatusText(http.StatusBadGateway), http.StatusBadGateway)
			return
		}
		w.Header().Set("ETag", `"`+etag+`"`)
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		http.ServeContent(w, r, key, time.Time{}, bytes.NewReader(data))
	})
}

func (d *demo) startNginx(ctx context.Context, nginx string) error {
	argv := d.nginxCommand(nginx)
	return d.start(ctx, exec.Command(argv[0], argv[1:]...), "nginx.out", func(p *process) bool {
		// nginx binds its ports first and writes its pid then.
		pid, err := os.ReadFile(d.path("nginx.pid"))
		return err == nil && strings.TrimSpace(string(pid)) == strconv.Itoa(p.cmd.Process.Pid)
	})
}

func (d *demo) startGate(ctx context.Context) error {
	return d.start(ctx, exec.Command(d.self, "--config", d.path("config.toml"), "gate"), "gate.out", func(*process) bool {
		return gate.Client{Socket: d.path("run", "gate.sock")}.Answers(ctx) == nil
	})
}

// start starts a program whose output goes to a file, and waits until it is ready.
func (d *demo) start(ctx context.Context, cmd *exec.Cmd, output string, ready func(*process) bool) error {
	out, err := os.Create(d.path(output))
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	p, err := startProcess(cmd)
	if err != nil {
		return err
	}
	d.undo = append(d.undo, func() error { return p.stop(grace) })
	err = eventually(ctx, patience, func() error {
		if !p.hasEnded() && !ready(p) {
			return errors.New("it is not ready in time")
		}
		return nil
	})
	if err == nil && p.hasEnded() {
		err = errors.New("it ended by itself")
	}
	if err == nil {
		return nil
	}
	said, _ := os.ReadFile(out.Name())
	return fmt.Errorf("%w\n%s", err, bytes.TrimSpace(said))
}

// run runs this program with the demo's configuration, and returns its exit code and all that it said.
func (d *demo) run(ctx context.Context, args ...string) (code int, said string, err error) {
	var out bytes.Buffer
	cmd := exec.Command(d.self, append([]string{"--config", d.path("config.toml")}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	p, err := startProcess(cmd)
	if err != nil {
		return 0, "", err
	}
	select {
	case <-p.ended:
	case <-ctx.Done():
		return 0, "", errors.Join(context.Cause(ctx), p.stop(grace))
	}
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		return 0, "", p.err
	}
	return cmd.ProcessState.ExitCode(), out.String(), nil
}

// command runs this program for everyone to see. It is an error if the exit code isn't 0.
func (d *demo) command(ctx context.Context, args ...string) error {
	d.terminal.DemoCommand(shellWords(append([]string{"conforma-status"}, args...)))
	code, said, err := d.run(ctx, args...)
	if err != nil {
		return fmt.Errorf("%s: %w", shellWords(args), err)
	}
	d.terminal.DemoOutput(said)
	if code != 0 {
		return fmt.Errorf("%s: exit code %d, want 0", shellWords(args), code)
	}
	return nil
}

// eventually waits until look returns nil. After the patience it returns what look said last.
func eventually(ctx context.Context, patience time.Duration, look func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := look()
		if err == nil || !time.Now().Before(deadline) {
			return err
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ErrNoNginx is returned (wrapped) on a machine that has no nginx.
var ErrNoNginx = errors.New("nginx is not installed")

// findNginx finds nginx also where an ordinary user's PATH doesn't look.
func findNginx(path string, beside ...string) (string, error) {
	if len(beside) == 0 {
		beside = []string{"/usr/sbin", "/usr/local/sbin", "/sbin"}
	}
	for _, dir := range append(filepath.SplitList(path), beside...) {
		if !filepath.IsAbs(dir) {
			continue
		}
		if found, err := exec.LookPath(filepath.Join(dir, "nginx")); err == nil {
			return found, nil
		}
	}
	return "", ErrNoNginx
}

// parent is where the demo makes its directory: where temporary files go, or another place if that path is too long for
// a unix socket below it (unix(7): 107 bytes), or has characters that a configuration file doesn't take.
func parent(temp string) string {
	if len(temp) > 60 || !filepath.IsAbs(temp) || strings.ContainsFunc(temp, oddInPath) || os.Geteuid() == 0 && !isOpen(temp) {
		return "/tmp"
	}
	return temp
}

// isOpen reports whether other users may go through a directory, and those above it.
func isOpen(dir string) bool {
	for ; ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && info.Mode()&1 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

func oddInPath(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-", r))
}

// shellWords writes a command line as a POSIX shell reads it.
func shellWords(args []string) string {
	var words []string
	for _, arg := range args {
		if arg == "" || strings.ContainsFunc(arg, oddInPath) {
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}

// holdAddress picks a free port of 127.0.0.1 and keeps it from being picked again until release is called. It doesn't
// listen: nginx, which sets SO_REUSEADDR, can still bind the port (socket(7)).
func holdAddress() (addr string, release func() error, err error) {
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return "", nil, err
	}
	release = func() error { return syscall.Close(fd) }
	if err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	var bound syscall.Sockaddr
	if err == nil {
		bound, err = syscall.Getsockname(fd)
	}
	if err != nil {
		return "", nil, errors.Join(err, release())
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(bound.(*syscall.SockaddrInet4).Port)), release, nil
}
