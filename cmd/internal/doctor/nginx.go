package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/status"
)

func (e *examination) nginxItself(ctx context.Context) {
	switch b, err := e.Nginx.Build(ctx); {
	case errors.Is(err, control.ErrNoDump):
		e.warn(NginxItself, "its version can't be told: nginx.test has no -t", `write the command that tests nginx with its "-t" as a word of its own`)
	case err != nil && e.refused(NginxItself, err):
	case err != nil:
		e.fault(NginxItself, err.Error(), "install nginx, or say in [nginx] how it is tested and reloaded")
	case !b.AuthRequest:
		e.fault(NginxItself, "nginx "+b.Version+" has no ngx_http_auth_request_module, which admin mode needs", "install an nginx that has it (Debian's and nginx.org's have)")
	case olderThan(b.Version, 1, 18):
		e.warn(NginxItself, "nginx "+b.Version+" is older than what was tested (1.18 to 1.22)", "upgrade nginx")
	default:
		e.ok(NginxItself, "nginx "+b.Version+" with auth_request")
	}
	pid, err := e.Nginx.Master()
	if err == nil {
		_, err = e.Host.Sockets.Program(pid)
	}
	switch {
	case err == nil:
		e.ok(NginxRunning, fmt.Sprintf("its master is process %d", pid))
	case errors.Is(err, workers.ErrNotMaster):
		e.fault(NginxRunning, err.Error(), "nginx.pid_file is stale, or another program's: name the one that this nginx writes (its pid directive)")
	case errors.Is(err, workers.ErrNotRunning):
		e.fault(NginxRunning, err.Error(), "start nginx, or see that nginx.pid_file is the one that it writes")
	case e.refused(NginxRunning, err):
	case e.UID != 0:
		e.warn(NginxRunning, fmt.Sprintf("user %d can't see it: %v", e.UID, err), "/proc hides other users' processes (hidepid): sudo conforma-status doctor sees them")
	default:
		e.fault(NginxRunning, err.Error(), "mount /proc (mount -t proc proc /proc): without it nobody can prove that nothing of before is left")
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

// nginxConfiguration returns the operator's configuration, nil where it can't be read.
func (e *examination) nginxConfiguration(ctx context.Context) *operator.Config {
	err := e.Nginx.Test(ctx)
	switch {
	case err == nil:
	case errors.Is(err, control.ErrOpenFileCache): // our rules turn it off, because with it the closed file is seen late
		e.fault(OpenFileCache, err.Error(), "move it from that server {} into http {} or into the locations")
		return nil
	case errors.Is(err, control.ErrNoHTTPConf):
		e.fault(HTTPInclude, err.Error(), fmt.Sprintf("put \"include %s;\" into http {}", nginxconf.HTTPFile(e.Host.Config.Nginx.ConfDir)))
		return nil
	case e.refused(NginxConfiguration, err):
		return nil
	default:
		e.fault(NginxConfiguration, err.Error(), "mend what nginx names")
		return nil
	}
	dump, err := e.Nginx.Dump(ctx)
	if errors.Is(err, control.ErrNoDump) {
		e.warn(NginxConfiguration, err.Error(), `write nginx.test with its "-t" as a word of its own, so that other ways to the application are found`)
		return nil
	}
	var survey operator.Survey
	var conf *operator.Config
	if err == nil {
		survey, err = operator.ReadSurvey(dump)
	}
	if err == nil {
		conf, err = operator.ReadConfig(dump)
	}
	if err != nil {
		e.fault(NginxConfiguration, err.Error(), "see what nginx -T prints")
		return nil
	}
	e.ok(NginxConfiguration, "nginx finds it in order")
	e.ok(OpenFileCache, "is off for the rules")
	http := nginxconf.HTTPFile(e.Host.Config.Nginx.ConfDir)
	if survey.Includes(http) {
		e.ok(HTTPInclude, http+" is included")
	} else {
		e.fault(HTTPInclude, "http {} doesn't include "+http, fmt.Sprintf("put \"include %s;\" into http {}", http))
	}
	return conf
}

// serving sees whether the rules of a site are included, come first and are in effect, what leads past them, and whose
// processes serve it.
func (e *examination) serving(ctx context.Context, s config.Site, conf *operator.Config) {
	targets := []operator.Target{{Site: s.Name, Addr: s.Listen, URL: s.AppURL}}
	listens := []string{s.Listen}
	if conf == nil {
		e.warn(Include, "can't be told while nginx's configuration can't be read", "mend what is said of it above")
	} else {
		file := nginxconf.SiteFile(e.Host.Config.Nginx.ConfDir, s.Name)
		serving := conf.Serving(file, targets[0], s.Upstreams)
		e.ways(s, serving, file)
		targets, listens = serving.Targets, append(listens, serving.Listens...)
	}
	e.processes(listens)
	for _, t := range targets {
		where := t.Addr + " as " + strings.TrimPrefix(strings.TrimPrefix(t.URL, "https://"), "http://")
		if _, err := e.Host.Probe(ctx, t); err != nil {
			e.fault(InEffect, err.Error(), "reload nginx; its error log says why it keeps its old configuration")
		} else {
			e.ok(InEffect, where)
		}
	}
}

// ways says how the site can be reached, and whether that is by its rules.
func (e *examination) ways(s config.Site, serving operator.Serving, file string) {
	first := fmt.Sprintf("put \"include %s;\" first in that server {}", file)
	all := maintenance.Holes(serving, file, status.Offline)
	own := serving
	own.Holes, own.Bypasses = nil, nil
	missing := maintenance.Holes(own, file, status.Offline)
	for _, hole := range missing {
		e.fault(Include, hole, first)
	}
	if len(missing) == 0 {
		e.ok(Include, "the rules come first in each server {} of the site")
	}
	clear := true
	for _, hole := range all {
		if !slices.Contains(missing, hole) {
			clear = false
			e.fault(OtherWays, hole, first+", or take the way to the application out of it")
		}
	}
	for _, p := range serving.VariablePasses {
		clear = false
		e.warn(OtherWays, p.String()+" leads where a variable says: whether that is the site can't be told", "write the address of its upstream out")
	}
	for _, p := range serving.SamePort {
		e.warn(OtherWays, "the server at "+p.String()+" shares a port with the site: their old connections can't be told apart", "give the site a port of its own")
	}
	if clear {
		e.ok(OtherWays, "no other server {} leads to the application")
	}
	gated := true
	for _, hole := range maintenance.Holes(serving, file, status.Admin) {
		if !slices.Contains(all, hole) {
			gated = false
			e.warn(AdminMode, hole, "set admin refuses until this is moved into a location of its own that no visitor needs, or taken out")
		}
	}
	if gated {
		e.ok(AdminMode, "no location keeps the gate out")
	}
}

// processes sees whether the nginx of nginx.pid_file is the one that serves the site, and whether what its workers hold
// can be looked at: without that no closing is ever called safe.
func (e *examination) processes(listens []string) {
	pid, err := e.Nginx.Master()
	if err != nil {
		return // which has been said
	}
	program, err := e.Host.Sockets.Program(pid)
	if err != nil {
		return
	}
	before, err := e.Host.Sockets.Snapshot(program)
	var left workers.Remaining
	if err == nil {
		left, err = e.Host.Sockets.Remaining(before, workers.Scope{Listens: listens}, program, pid)
	}
	switch {
	case err != nil && e.refused(NginxProcesses, err):
	case err != nil:
		e.fault(NginxProcesses, err.Error(), "see that this machine's /proc can be read: without it nobody can prove that nothing of before is left")
	case len(left.UnreadableWorkers) > 0 && e.UID != 0:
		e.warn(NginxProcesses, fmt.Sprintf("user %d may not see what %d of nginx's workers hold", e.UID, len(left.UnreadableWorkers)), "run it as root (sudo): no closing is called safe otherwise")
	case len(left.UnreadableWorkers) > 0:
		e.fault(NginxProcesses, fmt.Sprintf("what %d of nginx's workers hold can't be seen: no closing would be called safe", len(left.UnreadableWorkers)), "root needs CAP_SYS_PTRACE for that: a container, a systemd unit (CapabilityBoundingSet) or a security module (AppArmor, SELinux) keeps it away")
	case len(left.OtherMasters) > 0 && len(left.ListeningWorkers) == 0:
		e.fault(NginxProcesses, fmt.Sprintf("the site is served by another nginx (its worker is process %d) than that of nginx.pid_file (%d), which would be reloaded in vain", left.OtherMasters[0].PID, pid), "name in [nginx] the pid_file, and the commands, of the nginx that serves the site")
	case len(left.OtherMasters) > 0:
		e.warn(NginxProcesses, fmt.Sprintf("a second nginx listens for the site too (its worker is process %d): an upgrade of its program that was not finished", left.OtherMasters[0].PID), "finish it (kill -QUIT the old master) before the next window: what it has let in is not called gone")
	default:
		e.ok(NginxProcesses, fmt.Sprintf("all that listen for the site (%d) are workers of nginx.pid_file, and can be looked at", len(left.ListeningWorkers)))
	}
}

// upstreams finds ports of the application that the world can reach, past nginx. A port that Docker publishes is listened at
// even where its proxy is turned off: dockerd keeps it from others (libnetwork's portallocator).
func (e *examination) upstreams(s config.Site) {
	addrs, err := e.Listening()
	if err != nil {
		if !e.refused(UpstreamPorts, err) {
			e.fault(UpstreamPorts, err.Error(), "see that this machine's /proc can be read")
		}
		return
	}
	open := false
	for _, up := range s.Upstreams {
		host, port, err := net.SplitHostPort(up)
		if err != nil {
			continue // a unix socket
		}
		ip, err := netip.ParseAddr(host)
		isLocal := host == "localhost" || err == nil && (ip.IsLoopback() || ip.IsUnspecified())
		for _, a := range addrs {
			// An address that isn't loopback's is on this machine only where somebody listens at just that one.
			if strconv.Itoa(int(a.Port())) == port && !a.Addr().IsLoopback() && (isLocal || a.Addr() == ip) {
				open = true
				e.fault(UpstreamPorts, fmt.Sprintf("%s listens at %s: people can go round nginx", up, a), fmt.Sprintf("publish it on loopback only: ports: [\"127.0.0.1:%s:…\"] in the compose file, or close it with a firewall", port))
				break
			}
		}
	}
	if !open {
		e.ok(UpstreamPorts, "none listens beyond loopback")
	}
}
