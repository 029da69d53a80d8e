package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// nginxItself sees whether nginx can do what the rules need.
func (e *examination) nginxItself(ctx context.Context) {
	switch b, err := e.Nginx.Build(ctx); {
	case errors.Is(err, control.ErrNoDump):
		e.warn(checkNginxItself, "its version can't be told: nginx.test has no -t",
			`write the command that tests nginx with its "-t" as a word of its own`)
	case err != nil:
		e.failed(checkNginxItself, err, "install nginx, or say in [nginx] how it is tested and reloaded")
	case !b.AuthRequest:
		e.fault(checkNginxItself, "nginx "+b.Version+" has no ngx_http_auth_request_module, which admin mode needs",
			"install an nginx that has it (Debian's and nginx.org's have)")
	case olderThan(b.Version, 1, 18):
		e.warn(checkNginxItself, "nginx "+b.Version+" is older than what was tested (1.18 to 1.30)", "upgrade nginx")
	default:
		e.ok(checkNginxItself, "nginx "+b.Version+" with auth_request")
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

// nginxRunning sees whether the process of nginx.pid_file is nginx's master, and can be looked at.
func (e *examination) nginxRunning() {
	pid, err := e.Nginx.Master()
	if err == nil {
		_, err = e.Host.Sockets.Program(pid)
	}
	switch {
	case err == nil:
		e.ok(checkNginxRunning, fmt.Sprintf("its master is process %d", pid))
		e.nginxContainer(pid)
	case errors.Is(err, workers.ErrNotMaster):
		e.fault(checkNginxRunning, err.Error(),
			"nginx.pid_file is stale, or another program's: name the one that this nginx writes (its pid directive)")
	case errors.Is(err, workers.ErrNotRunning):
		e.fault(checkNginxRunning, err.Error(), "start nginx, or see that nginx.pid_file is the one that it writes")
	case e.denied(checkNginxRunning, err):
	case e.UID != 0:
		e.warn(checkNginxRunning, fmt.Sprintf("user %d can't see it: %v", e.UID, err),
			"/proc hides other users' processes (hidepid): sudo conforma-status doctor sees them")
	default:
		e.fault(checkNginxRunning, err.Error(),
			"mount /proc (mount -t proc proc /proc): without it nobody can prove that no earlier request is left")
	}
}

// nginxContainer sees, where nginx is in a container, whether that finds at the same paths what we write and it reads.
func (e *examination) nginxContainer(master int) {
	if e.UID != 0 || workers.SharesNamespace("mnt", master, os.Getpid()) {
		return
	}
	c := e.Host.Config
	var missing []string
	for _, dir := range []string{c.Nginx.ConfDir, c.StateDir, filepath.Dir(c.Gate.Socket)} {
		if _, err := os.Stat(dir); err == nil && !workers.Sees(master, dir) { // what isn't there is said elsewhere
			missing = append(missing, dir)
		}
	}
	if len(missing) > 0 {
		e.fault(checkNginxContainer, "nginx's container doesn't have "+strings.Join(missing, " and ")+" at the same path",
			fmt.Sprintf("mount each in the container, -v %[1]s:%[1]s:ro, and start that anew", missing[0]))
		return
	}
	text := "has what it needs at the same paths"
	if ours, err := workers.Of(master).IsOurs(); err == nil && !ours {
		text += ", and a network of its own, which can be entered"
	}
	e.ok(checkNginxContainer, text)
}

// nginxConfiguration returns the operator's configuration, nil where it can't be read.
func (e *examination) nginxConfiguration(ctx context.Context) *operator.Config {
	http := nginxconf.HTTPFile(e.Host.Config.Nginx.ConfDir)
	hintHTTP := fmt.Sprintf("put \"include %s;\" into http {}", http)
	err := e.Nginx.Test(ctx)
	switch {
	case err == nil:
	case errors.Is(err, control.ErrOpenFileCache): // our rules turn it off, because with it the closed file is seen late
		e.fault(checkOpenFileCache, err.Error(), "move it from that server {} into http {} or into the locations")
		return nil
	case errors.Is(err, control.ErrNoHTTPConf):
		e.fault(checkHTTPInclude, err.Error(), hintHTTP)
		return nil
	default:
		e.failed(checkNginxConfiguration, err, "mend what nginx names")
		return nil
	}
	dump, err := e.Nginx.Dump(ctx)
	if errors.Is(err, control.ErrNoDump) {
		e.warn(checkNginxConfiguration, err.Error(),
			`write nginx.test with its "-t" as a word of its own, so that other ways to the application are found`)
		return nil
	}
	var conf *operator.Config
	if err == nil {
		conf, err = operator.ReadConfig(dump)
	}
	if err != nil {
		e.fault(checkNginxConfiguration, err.Error(), "see what nginx -T prints")
		return nil
	}
	e.ok(checkNginxConfiguration, "nginx finds it in order")
	e.ok(checkOpenFileCache, "is off for the rules")
	if conf.HTTPIncludes(http) {
		e.ok(checkHTTPInclude, http+" is included")
	} else {
		e.fault(checkHTTPInclude, "http {} doesn't include "+http, hintHTTP)
	}
	return conf
}
