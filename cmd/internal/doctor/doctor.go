// Package doctor looks for what is wrong with a host, its nginx, its store and the world's view of its pages, and says
// how to mend it. It changes nothing but one small file of its own in the store.
package doctor

import (
	"context"
	"net/netip"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
)

// Level is how bad a finding is.
type Level string

// The levels. Faults are what keeps a promise from holding; warnings are what may come to that.
const (
	OK      Level = "ok"
	Warning Level = "warning"
	Fault   Level = "fault"
)

// Finding is one line of the doctor's table.
type Finding struct {
	Check string `json:"check"`
	Site  string `json:"site,omitempty"` // "" where it concerns the host as a whole
	Level Level  `json:"level"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"` // what to do; "" only where the level is OK
}

// Doctor looks at one host. All fields are needed.
type Doctor struct {
	Host   *maintenance.Host
	Faults config.Faults // of the configuration, those that leave it usable
	Nginx  nginxconf.Nginx
	// Listening returns what this machine listens at. nginxconf.Sockets has the real one.
	Listening func() ([]netip.AddrPort, error)
	// Free returns the bytes and files that a file system has room for, see statfs(2).
	Free func(dir string) (Space, error)
	// Secret reads the secret of a site that has a [site.jwt].
	Secret func(config.Site) (gate.Secret, error)
	// Ask returns the status that the gate answers about a token of a site, 0 with an error where it doesn't answer.
	Ask func(ctx context.Context, site, token string) (int, error)
	Now func() time.Time
}

// examination is one round of the doctor's.
type examination struct {
	Doctor
	site     string
	findings []Finding
}

// Examine makes every check and returns what it found, in the order of the checks, those of the host first.
func (d Doctor) Examine(ctx context.Context) []Finding {
	e := &examination{Doctor: d}
	c := d.Host.Config
	e.configuration()
	e.disk()
	e.journal()
	e.nginxItself(ctx)
	conf := e.nginxConfiguration(ctx)
	e.store(ctx)
	for _, s := range c.Sites {
		e.site = s.Name
		if conf != nil {
			e.serving(ctx, s, conf)
		}
		e.upstreams(s)
		e.secret(ctx, s)
		e.agreement(ctx, s)
		e.world(ctx, s)
	}
	return e.findings
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

func (e *examination) ok(check, text string) {
	e.findings = append(e.findings, Finding{Check: check, Site: e.site, Level: OK, Text: text})
}

func (e *examination) warn(check, text, hint string) {
	e.findings = append(e.findings, Finding{check, e.site, Warning, text, hint})
}

func (e *examination) fault(check, text, hint string) {
	e.findings = append(e.findings, Finding{check, e.site, Fault, text, hint})
}
