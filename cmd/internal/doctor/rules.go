package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/status"
)

// rules sees whether the rules of a site are included, come first and are in effect, what leads past them, and whose
// processes serve it. conf is nil where nginx's configuration can't be read.
func (e *examination) rules(ctx context.Context, s config.Site, conf *operator.Config) {
	targets := []operator.Target{maintenance.Target(s)}
	listens := []string{s.Listen}
	if conf == nil {
		e.warn(checkInclude, "can't be told while nginx's configuration can't be read", "mend what is said of it above")
	} else {
		file := e.rulesOf(s)
		serving := conf.Serving(file, targets[0], s.Upstreams)
		e.holes(s, serving, file)
		targets, listens = serving.Targets, append(listens, serving.Listens...)
	}
	e.processes(listens)
	for _, t := range targets {
		where := t.Addr + " as " + strings.TrimPrefix(strings.TrimPrefix(t.URL, "https://"), "http://")
		if _, err := e.Host.Probe(ctx, t); err != nil {
			e.fault(checkInEffect, err.Error(), hintReload)
		} else {
			e.ok(checkInEffect, where)
		}
	}
}

// rulesOf is the file that has the rules of a site.
func (e *examination) rulesOf(s config.Site) string {
	return nginxconf.SiteFile(e.Host.Config.Nginx.ConfDir, s.Name)
}

// holes says how the site s can be reached past its rules, which are in file.
func (e *examination) holes(s config.Site, serving operator.Serving, file string) {
	first := fmt.Sprintf("put \"include %s;\" first in that server {}", file)
	all := maintenance.Holes(s, serving, file, status.Offline)
	own := serving
	own.Holes, own.Bypasses = nil, nil
	missing := maintenance.Holes(s, own, file, status.Offline)
	for _, hole := range missing {
		e.fault(checkInclude, hole, first)
	}
	if len(missing) == 0 {
		e.ok(checkInclude, "the rules come first in each server {} of the site")
	}
	others := slices.DeleteFunc(slices.Clone(all), func(hole string) bool { return slices.Contains(missing, hole) })
	for _, hole := range others {
		e.fault(checkOtherWays, hole, first+", or take the way to the application out of it: the kernel barrier, where there is one, refuses it while the site is closed")
	}
	for _, p := range serving.VariablePasses {
		e.warn(checkOtherWays, p.String()+" leads where a variable says: whether that is the site can't be told",
			"write the address of its upstream out")
	}
	for _, p := range serving.SamePort {
		e.warn(checkOtherWays, "the server at "+p.String()+" shares a port with the site: their old connections can't be told apart",
			"give the site a port of its own")
	}
	if len(others) == 0 && len(serving.VariablePasses) == 0 {
		e.ok(checkOtherWays, "no other server {} leads to the application")
	}
	open := slices.DeleteFunc(maintenance.Holes(s, serving, file, status.Admin), func(hole string) bool { return slices.Contains(all, hole) })
	for _, hole := range open {
		e.warn(checkAdminMode, hole, "set admin refuses until this is moved into a location of its own that no visitor needs, or taken out")
	}
	if len(open) == 0 {
		e.ok(checkAdminMode, "no location keeps the gate out")
	}
}

// processes checks that the nginx of nginx.pid_file serves the site, and that we can see what its workers hold. Without
// that no closing is ever called safe.
func (e *examination) processes(listens []string) {
	pid, err := e.Nginx.Master()
	if err != nil {
		return // which has been said
	}
	if _, err := e.Host.Sockets.Program(pid); err != nil {
		return
	}
	before, err := e.Host.Sockets.Snapshot(pid)
	var left workers.Remaining
	if err == nil {
		left, err = e.Host.Sockets.Remaining(before, workers.Scope{Listens: listens})
	}
	unreadable, others := len(left.UnreadableWorkers), len(left.OtherMasters)
	switch {
	case err != nil:
		e.failed(checkNginxProcesses, err,
			"see that this machine's /proc can be read: without it nobody can prove that no earlier request is left")
	case unreadable > 0 && e.UID != 0:
		e.warn(checkNginxProcesses, fmt.Sprintf("user %d may not see what %d of nginx's workers hold", e.UID, unreadable),
			"run it as root (sudo): no closing is called safe otherwise")
	case unreadable > 0:
		e.fault(checkNginxProcesses, fmt.Sprintf("what %d of nginx's workers hold can't be seen: no closing would be called safe", unreadable),
			"root needs CAP_SYS_PTRACE for that: a container, a systemd unit (CapabilityBoundingSet) or a security module "+
				"(AppArmor, SELinux) keeps it away")
	case others > 0 && len(left.ListeningWorkers) == 0:
		e.fault(checkNginxProcesses, fmt.Sprintf("the site is served by another nginx (its worker is process %d) than that of "+
			"nginx.pid_file (%d), which would be reloaded in vain", left.OtherMasters[0].PID, pid),
			"name in [nginx] the pid_file, and the commands, of the nginx that serves the site")
	case others > 0:
		e.warn(checkNginxProcesses, fmt.Sprintf("a second nginx listens for the site too (its worker is process %d): "+
			"an upgrade of its program that was not finished", left.OtherMasters[0].PID),
			"finish it (kill -QUIT the old master) before the next window: until then no closing is called safe")
	default:
		e.ok(checkNginxProcesses, fmt.Sprintf("all that listen for the site (%d) are workers of nginx.pid_file, and can be looked at",
			len(left.ListeningWorkers)))
	}
}

// upstreams finds ports of the application that everybody can reach past nginx. A port that Docker publishes is
// listened at even without Docker's proxy: dockerd reserves it (libnetwork's portallocator).
func (e *examination) upstreams(s config.Site) {
	addrs, err := e.Listening()
	if err != nil {
		e.failed(checkUpstreamPorts, err, "see that this machine's /proc can be read")
		return
	}
	exposed := false
	for _, up := range s.Upstreams {
		host, port, err := net.SplitHostPort(up)
		if err != nil {
			continue // a unix socket
		}
		i := slices.IndexFunc(addrs, func(a netip.AddrPort) bool { return exposes(a, host, port) })
		if i < 0 {
			continue
		}
		exposed = true
		e.fault(checkUpstreamPorts, fmt.Sprintf("%s listens at %s: people can go round nginx", up, addrs[i]),
			fmt.Sprintf("publish it on loopback only: ports: [\"127.0.0.1:%s:…\"] in the compose file, or close it with a firewall", port))
	}
	if !exposed {
		e.ok(checkUpstreamPorts, "none listens beyond loopback")
	}
}

// exposes reports whether what listens at a is the upstream at host and port, and other machines can reach it.
func exposes(a netip.AddrPort, host, port string) bool {
	if strconv.Itoa(int(a.Port())) != port || a.Addr().IsLoopback() {
		return false
	}
	ip, err := netip.ParseAddr(host)
	local := host == "localhost" || err == nil && (ip.IsLoopback() || ip.IsUnspecified())
	// An address that isn't loopback's is on this machine only where somebody listens at just that one.
	return local || a.Addr() == ip
}
