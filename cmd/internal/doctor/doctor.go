// Package doctor looks for what is wrong with a host, its nginx, its store and what visitors get of its pages, and
// says how to mend it. It changes nothing and leaves nothing behind.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"sync"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
	"github.com/msupply-foundation/conforma-status/status/fault"
)

// AtMost is what an examination should take at most.
const AtMost = 30 * time.Second

// grace is how long after that what hangs is waited for.
const grace = time.Second

// Level is how bad a finding is.
type Level string

// Faults are what keeps a promise from holding; warnings are what may come to that, and what could not be seen.
const (
	OK      Level = "ok"
	Warning Level = "warning"
	Fault   Level = "fault"
)

// Check is what a finding is about. A program that reads the doctor's JSON may rely on these names.
type Check string

// The checks. Each has a case in deploy/e2e/doctor/doctor_test.go that makes it fail.
const (
	checkConfiguration      Check = "configuration"
	checkDisk               Check = "disk"
	checkFiles              Check = "files"
	checkJournal            Check = "journal"
	checkNginxItself        Check = "nginx"
	checkNginxRunning       Check = "nginx running"
	checkNginxContainer     Check = "nginx container"
	checkNginxProcesses     Check = "nginx processes"
	checkNginxConfiguration Check = "nginx configuration"
	checkOpenFileCache      Check = "open_file_cache"
	checkHTTPInclude        Check = "http include"
	checkInclude            Check = "include"
	checkOtherWays          Check = "other ways"
	checkAdminMode          Check = "admin mode"
	checkBarrier            Check = "kernel barrier"
	checkInEffect           Check = "in effect"
	checkUpstreamPorts      Check = "upstream ports"
	checkWebSockets         Check = "WebSockets"
	checkSettled            Check = "settled"
	checkCachedPages        Check = "cached pages"
	checkServiceWorker      Check = "service worker"
	checkSecret             Check = "secret"
	checkGate               Check = "gate"
	checkStore              Check = "store"
	checkConditionalWrites  Check = "conditional writes"
	checkWebhooks           Check = "webhooks"
	checkFleet              Check = "fleet"
	checkDrift              Check = "drift"
	checkOverdue            Check = "overdue"
	checkWindows            Check = "windows"
	checkPage               Check = "page"
	checkRedirectLoop       Check = "redirect loop"
	checkStatus             Check = "status"
	checkStaleStatus        Check = "stale status"
	checkCORS               Check = "CORS"
	checkCacheHeaders       Check = "cache headers"
	checkClock              Check = "clock"
	checkCertificate        Check = "certificate"
	checkTime               Check = "time"
)

// Finding is one line of the doctor's table.
type Finding struct {
	Check Check  `json:"check"`
	Site  string `json:"site,omitempty"` // "" where it concerns the host as a whole
	Level Level  `json:"level"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"` // what to do; "" only where the level is OK
}

// Doctor looks at one host. All fields are needed.
type Doctor struct {
	Host   *maintenance.Host
	Sites  []config.Site // those of the host that are looked at; what is wrong with the host itself is found in any case
	Faults fault.List    // of the configuration, those that leave it usable
	Nginx  control.Nginx
	// Listening returns what this machine listens at. workers.Sockets has the real one.
	Listening func() ([]netip.AddrPort, error)
	// Free returns the bytes and files that a file system has room for, see statfs(2).
	Free func(dir string) (Space, error)
	// Secret reads the secret of a site that has a [site.jwt].
	Secret func(config.Site) ([]gate.Secret, error)
	// Ask returns the status that the gate answers about a token of a site, 0 with an error where it doesn't answer.
	Ask    func(ctx context.Context, site, token string) (int, error)
	Now    func() time.Time
	AtMost time.Duration // what hangs is left behind after this, and a second, and is a fault
	UID    int           // of whoever examines: what an ordinary user may not see is no fault
}

// examination is one part of a round of the doctor's, which is made while others are.
type examination struct {
	Doctor
	what     string // that is looked at, for people
	site     string // its name, "" where it is about the host
	look     func(*examination)
	findings []Finding // to be read once done is closed
	done     chan struct{}
}

// Examine makes every check and returns what it found, in the order of the checks, those of the host first.
func (d Doctor) Examine(ctx context.Context) []Finding {
	last, forget := context.WithTimeout(ctx, d.AtMost+grace)
	defer forget()
	ctx, cancel := context.WithTimeout(ctx, d.AtMost)
	defer cancel()
	parts := d.examinations(ctx)
	for _, e := range parts {
		go func() {
			defer close(e.done)
			e.look(e)
		}()
	}
	var all []Finding
	for _, e := range parts {
		select {
		case <-e.done:
			all = append(all, e.findings...)
		case <-last.Done():
			all = append(all, Finding{checkTime, e.site, Fault,
				fmt.Sprintf("looking at %s did not end within %v", e.what, d.AtMost+grace),
				"something of it hangs, a file system over the network for one: ps -eo pid,stat,wchan,cmd shows D for what waits for a disk"})
		}
	}
	return all
}

// examinations are the parts of a round. Those that need nginx's configuration wait for the one that reads it.
func (d Doctor) examinations(ctx context.Context) (parts []*examination) {
	add := func(what, site string, look func(*examination)) {
		parts = append(parts, &examination{Doctor: d, what: what, site: site, look: look, done: make(chan struct{})})
	}
	var conf *operator.Config
	read := make(chan struct{}) // closed once conf is what it will be
	add("this machine's files", "", func(e *examination) {
		e.configuration()
		e.disk()
		e.journal()
		e.webhooks()
	})
	add("nginx", "", func(e *examination) {
		defer close(read)
		e.nginxItself(ctx)
		e.nginxRunning()
		conf = e.nginxConfiguration(ctx)
	})
	add("the store", "", func(e *examination) { e.store(ctx) })
	if d.Host.Config.Fleet != nil {
		add("the fleet", "", func(e *examination) { e.fleet(ctx) })
	}
	for _, s := range d.Sites {
		add("the rules of "+s.Name, s.Name, func(e *examination) {
			<-read
			e.rules(ctx, s, conf)
			e.upstreams(s)
			e.webSockets(s, conf)
			e.cachedPages(ctx, s)
			e.serviceWorker(ctx, s)
		})
		add("the gate of "+s.Name, s.Name, func(e *examination) { e.tokens(ctx, s) })
		add("the state of "+s.Name, s.Name, func(e *examination) { e.state(ctx, s) })
		add("the windows of "+s.Name, s.Name, func(e *examination) { e.windows(ctx, s) })
		add("the page of "+s.Name, s.Name, func(e *examination) { e.visitor(ctx, s) })
	}
	// The kernel is asked last: of many sites the rest keeps this machine so busy that it wouldn't answer in time.
	others := parts
	barriers := sync.OnceValues(func() (map[string]maintenance.Barrier, error) {
		for _, o := range others {
			select {
			case <-o.done:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return d.Host.Barriers(ctx, d.Sites), nil
	})
	for _, s := range d.Sites {
		add("the kernel barrier of "+s.Name, s.Name, func(e *examination) {
			if all, err := barriers(); err == nil { // what has taken all the time is said
				e.barrier(s, conf, all[s.Name])
			}
		})
	}
	return parts
}

// Worst is the level of the worst finding.
func Worst(findings []Finding) Level {
	worst := OK
	for _, f := range findings {
		if f.Level == Fault || f.Level == Warning && worst == OK {
			worst = f.Level
		}
	}
	return worst
}

func (e *examination) ok(check Check, text string) {
	e.findings = append(e.findings, Finding{Check: check, Site: e.site, Level: OK, Text: text})
}

func (e *examination) warn(check Check, text, hint string) {
	e.findings = append(e.findings, Finding{check, e.site, Warning, text, hint})
}

func (e *examination) fault(check Check, text, hint string) {
	e.findings = append(e.findings, Finding{check, e.site, Fault, text, hint})
}

// denied reports whether err comes from a lack of rights, and if so says what to do. What an ordinary user may not
// see is not known, and no fault.
func (e *examination) denied(check Check, err error) bool {
	switch {
	case !errors.Is(err, fs.ErrPermission) && !errors.Is(err, control.ErrDenied):
		return false
	case e.UID != 0:
		e.warn(check, fmt.Sprintf("user %d may not look at it: %v", e.UID, err), hintAsRoot)
	default:
		e.fault(check, err.Error(), HintRootDenied)
	}
	return true
}

// failed is fault for an error, unless it comes from a lack of rights.
func (e *examination) failed(check Check, err error, hint string) {
	if !e.denied(check, err) {
		e.fault(check, err.Error(), hint)
	}
}

// HintRootDenied says what to do where root is refused what root may do.
const HintRootDenied = "root may do that, so a security module (AppArmor, SELinux) or a sandbox refuses it: " +
	"journalctl -k | grep -e apparmor -e avc says which rule"

const hintAsRoot = "sudo conforma-status doctor sees it"
