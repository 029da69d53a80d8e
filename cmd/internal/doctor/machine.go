package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/status"
)

// Space is what a file system has left.
type Space struct {
	Bytes, Files uint64
	NoFiles      bool // it doesn't count files
}

// Free is what the file system of dir has left.
func Free(dir string) (Space, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return Space{}, err
	}
	return Space{Bytes: s.Bavail * uint64(s.Bsize), Files: s.Ffree, NoFiles: s.Files == 0}, nil
}

// A change writes a few kilobytes; where there is less than this, the next log line takes it.
const (
	littleSpace = 100 << 20 // bytes: a warning
	noSpace     = 5 << 20   // bytes: a fault
	noFiles     = 100
	// longAgo is when a change that is in the journal has been interrupted, not only slow.
	longAgo = 15 * time.Minute
)

func (e *examination) configuration() {
	for _, f := range e.Faults {
		hint := f.Hint
		if hint == "" {
			hint = "mend that line of the configuration"
		}
		e.fault("configuration", f.String(), hint)
	}
	if len(e.Faults) == 0 {
		e.ok("configuration", e.Host.Config.File)
	}
}

// disk sees whether there is room, and whether we may write, where a change writes.
func (e *examination) disk() {
	c := e.Host.Config
	for _, d := range []struct{ key, dir string }{{"state_dir", c.StateDir}, {"nginx.conf_dir", c.Nginx.ConfDir}} {
		dir := existing(d.dir)
		s, err := e.Free(dir)
		switch {
		case err != nil:
			e.fault("disk", fmt.Sprintf("%s %s: %v", d.key, d.dir, err), "see that the directory is there and can be entered")
			continue
		case s.Bytes < noSpace || !s.NoFiles && s.Files < noFiles:
			e.fault("disk", fmt.Sprintf("%s %s: its file system is full (%d MB and %d files left)", d.key, d.dir, s.Bytes>>20, s.Files), "make room on that file system")
		case s.Bytes < littleSpace:
			e.warn("disk", fmt.Sprintf("%s %s: %d MB left", d.key, d.dir, s.Bytes>>20), "make room on that file system")
		default:
			e.ok("disk", fmt.Sprintf("%s %s: %d MB left", d.key, d.dir, s.Bytes>>20))
		}
		switch err := unix.Access(dir, unix.W_OK|unix.X_OK); {
		case errors.Is(err, unix.EROFS):
			e.fault("files", fmt.Sprintf("%s %s: that file system is mounted read-only", d.key, d.dir), "remount it, or choose another directory: no change can be made")
		case err != nil:
			e.fault("files", fmt.Sprintf("%s %s can't be written to: %v", d.key, d.dir, err), "run it as root (sudo), or as the user who owns the directory; for root, a security module (AppArmor, SELinux) may refuse it: its log says so")
		default:
			e.ok("files", fmt.Sprintf("%s %s can be written to", d.key, d.dir))
		}
	}
}

// existing is dir, or the nearest directory above it that there is.
func existing(dir string) string {
	for dir != "/" && unix.Access(dir, unix.F_OK) == unix.ENOENT {
		dir = filepath.Dir(dir)
	}
	return dir
}

func (e *examination) journal() {
	switch began, err := e.Host.Interrupted(); {
	case errors.Is(err, maintenance.ErrJournal):
		e.fault("journal", err.Error(), "look at the file, move it away, and set the mode again")
	case err != nil:
		e.fault("journal", err.Error(), "run it as root (sudo), or as the user who owns the state directory")
	case began.IsZero():
		e.ok("journal", "no change is under way")
	case e.Now().Sub(began) > longAgo:
		e.fault("journal", "a change that began at "+began.UTC().Format(time.RFC3339)+" was never finished", "conforma-status reconcile finishes it")
	default:
		e.warn("journal", "a change that began at "+began.UTC().Format(time.RFC3339)+" is under way, or was interrupted", "wait for it, or: conforma-status reconcile")
	}
}

func (e *examination) nginxItself(ctx context.Context) {
	switch b, err := e.Nginx.Build(ctx); {
	case errors.Is(err, nginxconf.ErrNoDump):
		e.warn("nginx", "its version can't be told: nginx.test has no -t", `write the command that tests nginx with its "-t" as a word of its own`)
	case err != nil:
		e.fault("nginx", err.Error(), "install nginx, or say in [nginx] how it is tested and reloaded")
	case !b.AuthRequest:
		e.fault("nginx", "nginx "+b.Version+" has no ngx_http_auth_request_module, which admin mode needs", "install an nginx that has it (Debian's and nginx.org's have)")
	case olderThan(b.Version, 1, 18):
		e.warn("nginx", "nginx "+b.Version+" is older than what was tested (1.18 to 1.22)", "upgrade nginx")
	default:
		e.ok("nginx", "nginx "+b.Version+" with auth_request")
	}
	pid, err := e.Nginx.Master()
	if err != nil {
		e.fault("nginx running", err.Error(), "start nginx, or see that nginx.pid_file is the one that it writes")
		return
	}
	switch _, err := e.Host.Sockets.Program(pid); {
	case errors.Is(err, nginxconf.ErrNotMaster):
		e.fault("nginx running", err.Error(), "nginx.pid_file is stale, or from inside a container: name the file that holds the master's id as this machine counts")
	case err != nil:
		e.fault("nginx running", err.Error(), "mount /proc, and run it as root: without it nobody can prove that nothing of before is left")
	default:
		e.ok("nginx running", fmt.Sprintf("its master is process %d", pid))
	}
}

// olderThan compares the first two numbers of a version; one that can't be read is not older.
func olderThan(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	a, errA := strconv.Atoi(parts[0])
	b, errB := strconv.Atoi(parts[1])
	return errA == nil && errB == nil && (a < major || a == major && b < minor)
}

// clash is what nginx says where a server {} has open_file_cache of its own: our rules turn it off there, because with it
// the closed file would be seen late.
const clash = `"open_file_cache" directive is duplicate`

// nginxConfiguration returns the operator's configuration, nil where it can't be read.
func (e *examination) nginxConfiguration(ctx context.Context) *nginxconf.Config {
	err := e.Nginx.Test(ctx)
	switch {
	case err == nil:
	case strings.Contains(err.Error(), clash):
		e.fault("open_file_cache", err.Error(), "move it from that server {} into http {} or into the locations")
		return nil
	case strings.Contains(err.Error(), `unknown "conforma_`): // a variable of http.conf
		e.fault("http include", err.Error(), fmt.Sprintf("put \"include %s;\" into http {}", nginxconf.HTTPFile(e.Host.Config.Nginx.ConfDir)))
		return nil
	default:
		e.fault("nginx configuration", err.Error(), "mend what nginx names")
		return nil
	}
	dump, err := e.Nginx.Dump(ctx)
	if errors.Is(err, nginxconf.ErrNoDump) {
		e.warn("nginx configuration", err.Error(), `write nginx.test with its "-t" as a word of its own, so that other ways to the application are found`)
		return nil
	}
	var survey nginxconf.Survey
	var conf *nginxconf.Config
	if err == nil {
		survey, err = nginxconf.ReadSurvey(dump)
	}
	if err == nil {
		conf, err = nginxconf.ReadConfig(dump)
	}
	if err != nil {
		e.fault("nginx configuration", err.Error(), "see what nginx -T prints")
		return nil
	}
	e.ok("nginx configuration", "nginx finds it in order")
	e.ok("open_file_cache", "is off for the rules")
	http := nginxconf.HTTPFile(e.Host.Config.Nginx.ConfDir)
	if survey.Includes(http) {
		e.ok("http include", http+" is included")
	} else {
		e.fault("http include", "http {} doesn't include "+http, fmt.Sprintf("put \"include %s;\" into http {}", http))
	}
	return conf
}

// serving sees whether the rules of a site are included, come first and are in effect, and what leads past them.
func (e *examination) serving(ctx context.Context, s config.Site, conf *nginxconf.Config) {
	file := nginxconf.SiteFile(e.Host.Config.Nginx.ConfDir, s.Name)
	serving := conf.Serving(file, nginxconf.Target{Site: s.Name, Addr: s.Listen, URL: s.AppURL}, s.Upstreams)
	holes := maintenance.Holes(serving, file, status.Offline)
	for _, hole := range holes {
		e.fault("include", hole, fmt.Sprintf("put \"include %s;\" first in that server {}", file))
	}
	if len(holes) == 0 {
		e.ok("include", "the rules come first in each server {} of the site, and nothing leads past them")
	}
	for _, hole := range maintenance.Holes(serving, file, status.Admin) {
		if !slices.Contains(holes, hole) {
			e.warn("admin mode", hole, "set admin refuses until this is moved into a location of its own that no visitor needs, or taken out")
		}
	}
	for _, p := range serving.Unclear {
		e.warn("include", p.String()+" leads where a variable says: whether that is the site can't be told", "write the address of its upstream out")
	}
	for _, p := range serving.Shared {
		e.warn("include", "the server at "+p.String()+" shares a port with the site: their old connections can't be told apart", "give the site a port of its own")
	}
	for _, t := range serving.Targets {
		where := t.Addr + " as " + strings.TrimPrefix(strings.TrimPrefix(t.URL, "https://"), "http://")
		if _, err := e.Host.Probe(ctx, t); err != nil {
			e.fault("in effect", err.Error(), "reload nginx; its error log says why it keeps its old configuration")
		} else {
			e.ok("in effect", where)
		}
	}
}

// upstreams finds ports of the application that the world can reach, past nginx.
func (e *examination) upstreams(s config.Site) {
	addrs, err := e.Listening()
	if err != nil {
		e.fault("upstream ports", err.Error(), "mount /proc, and run it as root")
		return
	}
	open := false
	for _, up := range s.Upstreams {
		host, port, err := net.SplitHostPort(up)
		ip, notIP := netip.ParseAddr(host)
		if err != nil || host != "localhost" && (notIP != nil || !ip.IsLoopback()) {
			continue // it isn't on this machine
		}
		for _, a := range addrs {
			if strconv.Itoa(int(a.Port())) == port && !a.Addr().IsLoopback() {
				open = true
				e.fault("upstream ports", fmt.Sprintf("%s listens at %s: people can go round nginx", up, a), fmt.Sprintf("publish it on loopback only: ports: [\"127.0.0.1:%s:…\"] in the compose file, or close it with a firewall", port))
				break
			}
		}
	}
	if !open {
		e.ok("upstream ports", "none listens beyond loopback")
	}
}

// agreement compares what is wanted with what is on disk, live and published.
func (e *examination) agreement(ctx context.Context, s config.Site) {
	v, err := e.Host.View(ctx, s)
	if err != nil {
		e.fault("drift", err.Error(), "see that the state directory can be read; a damaged record is moved away, and the mode set again")
		return
	}
	for _, d := range v.Drift {
		e.fault("drift", d, "conforma-status reconcile brings the site back to what is on record")
	}
	if len(v.Drift) == 0 {
		e.ok("drift", "wanted, on disk, live and published agree: "+string(v.Mode))
	}
	if until := v.Wanted.ExpectedUntil; until != nil && v.Mode.Closed() && e.Now().After(*until) {
		e.warn("overdue", "the site was announced to be back at "+until.UTC().Format(time.RFC3339), "conforma-status extend WHEN, or open it")
	}
}
