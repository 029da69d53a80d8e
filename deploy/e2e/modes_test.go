package e2e

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestModes puts every request of modeRows to three server blocks (a plain one, one that hands the Host header on, and
// one as in Conforma's container) in each mode and with each kind of token. What an answer has to be is in answers_test.go; that of an
// open site is whatever this same request met on this same host before conforma-status came to it.
func TestModes(t *testing.T) {
	t.Parallel()
	h := rig.NewHost(t)
	sites := []string{"demo", "north", "stack"}

	h.Nginx.Start(t)
	before := map[string]map[string]met{}
	for _, site := range sites {
		before[site] = map[string]met{}
	}
	t.Run("before it was installed", func(t *testing.T) {
		for _, site := range sites {
			t.Run(site, func(t *testing.T) {
				t.Parallel()
				for _, row := range modeRows(h, h.Block(t, site)) {
					for _, as := range []visitor{anyone, ordinaryUser, administrator} {
						if row.admin(as) == normal || as == administrator {
							before[site][row.name+" by "+string(as)] = row.put(t, h, site, as)
						}
					}
				}
			})
		}
	})
	h.Nginx.Stop(t)

	h.Install(t)
	h.StartGate(t)
	h.CLI(t, "publish").Want(t, 0)
	eta := time.Now().Add(90 * time.Minute).UTC().Truncate(time.Second)
	for _, step := range []struct {
		name     string
		set      []string // nothing for a host on which nothing was ever set
		mode     string
		visitors []visitor
		want     func(modeRow, visitor) outcome
	}{
		{"before anything was set", nil, "online", []visitor{administrator}, modeRow.open},
		{"offline", []string{"set", "offline", "--all", "--eta", eta.Format(time.RFC3339)}, "offline", []visitor{anyone, administrator}, modeRow.closed},
		{"admin", []string{"set", "admin", "--all"}, "admin", []visitor{anyone, ordinaryUser, administrator}, modeRow.admin},
		{"online", []string{"set", "online", "--all"}, "online", []visitor{administrator}, modeRow.open},
	} {
		if step.set != nil {
			h.CLI(t, step.set...).Want(t, 0)
		}
		t.Run(step.name, func(t *testing.T) {
			for _, site := range sites {
				t.Run(site, func(t *testing.T) {
					t.Parallel()
					w := want{host: h, site: site, mode: step.mode, page: h.PageURL + "/" + site + "/"}
					if step.mode != "online" {
						w.eta = &eta
					}
					if step.set != nil {
						w.published = h.Published(t, site)
					}
					for _, row := range modeRows(h, h.Block(t, site)) {
						for _, as := range step.visitors {
							name := row.name + " by " + string(as)
							t.Run(name, func(t *testing.T) {
								got := row.put(t, h, site, as)
								w.before, w.message = before[site][name], row.message
								w.check(t, step.want(row, as), got)
							})
						}
					}
				})
			}
		})
	}
}

// met is what a request met: its answer, and what the application saw of it.
type met struct {
	answer  rig.Response
	reached []rig.Request
}

// put sends the row's request to a site. Nobody else must be talking to that site.
func (row modeRow) put(t *testing.T, h *rig.Host, site string, as visitor) met {
	t.Helper()
	b := h.Block(t, site)
	c, m := h.Client(t, site), row.message
	switch as {
	case ordinaryUser:
		m = m.With("Authorization: Bearer " + tokenOf(b.Secret, false))
	case administrator:
		m = m.With("Authorization: Bearer " + tokenOf(b.Secret, true))
	}
	n, open := b.App.Count(), len(b.App.Open())
	var got met
	do := c.Do
	switch row.over {
	case "HTTP/2":
		do = c.DoHTTP2
	case "plain HTTP":
		c.TLS = nil
		do = c.Do
	}
	got.answer = do(t, m)
	// A script of the site is first given a cookie, by a redirect to where it was going. This one doesn't keep it.
	if as == administrator && got.answer.Status == 307 && strings.HasPrefix(got.answer.Header.Get("Set-Cookie"), "conforma-status-") {
		if to := got.answer.Header.Get("Location"); to != m.Target {
			t.Errorf("redirected to %q", to)
		}
		got.answer = do(t, m)
	}
	if got.answer.Status == 101 {
		open++ // until the application notices that the client has gone
	}
	rig.WaitFor(t, "the application to be done", func() bool { return len(b.App.Open()) <= open })
	got.reached = b.App.Since(n)
	for i := range got.reached {
		got.reached[i].Received, got.reached[i].Finished = time.Time{}, time.Time{}
	}
	return got
}

// tokenOf makes a token as Conforma makes it for somebody with many permissions: kilobytes of it.
func tokenOf(secret string, admin bool) string {
	claims := map[string]any{"isAdmin": admin}
	if admin {
		claims["role"] = "postgres"
	}
	for i := range 120 {
		claims["pp"+strings.Repeat("7", i%3+1)+string(rune('a'+i%26))+strings.Repeat("x", i/26)] = "reviewConfig.organisation"
	}
	return rig.Token(secret, tokensIssued, claims)
}

// tokensIssued is the same throughout, so that the same token comes before and after.
var tokensIssued = time.Now().Add(-time.Minute)

// TestProbeAnswersThisMachineOnly has nginx take its visitors' addresses from a header, as behind a load balancer.
func TestProbeAnswersThisMachineOnly(t *testing.T) {
	t.Parallel()
	h := rig.NewHost(t)
	rig.WriteFile(t, filepath.Join(h.Nginx.Dir, "sites-enabled", "realip.conf"),
		"set_real_ip_from 127.0.0.1;\nreal_ip_header X-Visitor;\n")
	h.Install(t)
	for _, mode := range []string{"offline", "admin", "online"} {
		h.CLI(t, "set", mode, "--site", "demo").Want(t, 0)
		n := h.Block(t, "demo").App.Count()
		for visitor, want := range map[string]int{
			"127.0.0.1": 200, "127.5.6.7": 200, "::1": 200,
			"192.0.2.7": 404, "128.0.0.1": 404, "2001:db8::1": 404, "2001:db8::127.0.0.1": 404,
		} {
			r := h.Client(t, "demo").Get(t, "/.conforma-status/probe", "X-Visitor: "+visitor)
			if r.Status != want {
				t.Errorf("%s: the probe answers %s with %d, want %d", mode, visitor, r.Status, want)
			}
		}
		if reached := h.Block(t, "demo").App.Since(n); len(reached) != 0 {
			t.Errorf("%s: %+v reached the application", mode, reached)
		}
	}
}
