package maintenance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
	"github.com/msupply-foundation/conforma-status/status"
)

// ErrHoles is returned (wrapped) when nginx's configuration leads to a site's application past the site's rules.
var ErrHoles = errors.New("nginx's configuration has holes")

// audit reads how nginx serves the sites. It refuses to close a site that has a hole; with force it only warns. Such a
// site isn't safe, but where the operator answers for it. audit doesn't judge a configuration that nginx itself can't
// read: the test reports that.
func (h *Host) audit(ctx context.Context, changes []*change, force bool) error {
	if len(changes) == 0 {
		return nil
	}
	conf, err := h.Nginx.Config(ctx)
	if errors.Is(err, control.ErrNoDump) {
		for _, c := range changes {
			c.receipt.warn(err.Error() + ": other ways to the application are not looked for")
		}
		return nil
	}
	for _, c := range changes {
		// An open_file_cache or auth_request of the server's beside ours: nginx names the place.
		if err != nil && !force && c.to.Mode == status.Admin && errors.Is(err, control.ErrDuplicate) {
			return fmt.Errorf("%w: %w", ErrHoles, err)
		}
		if c.unread = nil; !c.forced {
			c.unread = err
		}
	}
	if err != nil {
		return nil
	}
	var holes []string
	for _, c := range changes {
		file := nginxconf.SiteFile(h.Config.Nginx.ConfDir, c.site.Name)
		c.readServing(conf, file)
		if !c.to.Mode.Closed() {
			continue
		}
		if c.behindBarrier() && c.has(StepShut) {
			for _, text := range Detours(c.site, c.serving) {
				c.receipt.warn(text)
			}
		}
		for _, hole := range c.holes(file) {
			switch {
			case c.forced:
				c.receipt.warn(hole)
			case force, c.behindBarrier():
				c.receipt.warn(hole)
				c.open = true
			default:
				holes = append(holes, hole)
			}
		}
	}
	if len(holes) > 0 {
		return fmt.Errorf("%w: %s", ErrHoles, strings.Join(holes, "; "))
	}
	return nil
}

// readServing finds out how the site is served, and warns of what can't be told. file is the path of its rules.
func (c *change) readServing(conf *operator.Config, file string) {
	c.serving = conf.Serving(file, Target(c.site), c.site.Upstreams)
	if !c.reachable() {
		c.serving.Targets = nil // its ports are mapped to others: only the operator knows to which
	}
	if !c.has(StepShut) {
		return
	}
	if places := c.serving.SamePort; len(places) > 0 {
		c.receipt.warn(fmt.Sprintf("%s shares its port with the server at %s: their old connections can't be told apart",
			c.site.Name, join(places)))
	}
	if places := c.serving.VariablePasses; len(places) > 0 && c.to.Mode.Closed() {
		c.receipt.warn(fmt.Sprintf("whether %s leads to %s can't be told: it goes where a variable says",
			join(places), c.site.Name))
	}
}

// unasked says in words why nginx can't be asked about servers of the site.
func (c *change) unasked() []string {
	var out []string
	for _, p := range c.serving.NoTCPListener {
		out = append(out, fmt.Sprintf("the server at %s listens at no address of TCP, so that nginx can't be asked whether it is closed: "+
			"give it one that only this machine has (listen 127.0.0.1:PORT;), and name it in the site's listen", p))
	}
	for _, p := range c.serving.NeedClientCert {
		out = append(out, fmt.Sprintf("the server at %s talks to nobody without a certificate (ssl_verify_client), so that nginx can't be asked whether it is closed: "+
			"give it an address that only this machine has, without TLS (listen 127.0.0.1:PORT;), and name it in the site's listen", p))
	}
	return out
}

// holes says in words how the site could be reached past its rules, and where nobody can see whether it could.
func (c *change) holes(file string) []string {
	out := c.unasked()
	if len(c.serving.Listens)+len(c.serving.NoTCPListener) == 0 {
		out = append(out, fmt.Sprintf("no server {} includes %s", file))
	}
	for _, hole := range c.serving.Holes {
		if c.site.SharedUpstream || slices.Contains(c.siblings, hole.Site) {
			continue
		}
		text := fmt.Sprintf("the server at %s leads to %s (%s) without including %s", hole.Server, hole.Upstream, hole.Pass, file)
		if c.behindBarrier() {
			text += ": the kernel refuses it while the site is closed"
		}
		out = append(out, text)
	}
	for _, p := range c.serving.BeforeInclude {
		out = append(out, fmt.Sprintf("%s stands before the include of %s and may end the rules before they begin", p, file))
	}
	for _, p := range c.serving.Bypasses {
		out = append(out, fmt.Sprintf("%s hands requests on beside the rules of %s", p, file))
	}
	if c.to.Mode == status.Admin && len(c.site.Allow) > 0 {
		for _, p := range c.serving.Credulous {
			out = append(out, fmt.Sprintf("%s has nginx believe anybody about their address, so that [site.admin] allow would let everybody in", p))
		}
	}
	if c.to.Mode == status.Admin {
		for _, p := range c.serving.SamePortWithoutRules {
			out = append(out, fmt.Sprintf("the server at %s answers on the same port without the gate of admin mode", p))
		}
		for _, u := range c.serving.Ungated {
			where := "the server"
			if u.Location != "" {
				where = "location " + u.Location
			}
			out = append(out, fmt.Sprintf("%s: %q keeps the gate of admin mode out of %s", u.At, u.Directive, where))
		}
	}
	return out
}

// reachable reports whether the site's own port is among those that nginx listens at.
func (c *change) reachable() bool {
	_, want, err := net.SplitHostPort(c.site.Listen)
	if err != nil {
		return false
	}
	for _, l := range c.serving.Listens {
		if _, port, err := net.SplitHostPort(l); err == nil && port == want {
			return true
		}
	}
	return false
}

func join(places []operator.Place) string {
	var out []string
	for _, p := range places {
		out = append(out, p.String())
	}
	return strings.Join(out, ", ")
}
