package modes

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/answers"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestEveryRequestInEveryMode puts every one of requests to two server blocks (a plain one, and one of the ten in
// Conforma's own file) in each mode and with each kind of token. What an answer has to be is in internal/answers; that
// of an open site is whatever this same request met on this same host before conforma-status came to it.
func TestEveryRequestInEveryMode(t *testing.T) { everyRequest(t, "demo", "conforma") }

func everyRequest(t *testing.T, sites ...string) {
	t.Parallel()
	h := rig.NewHost(t)
	h.AddConforma(t)

	h.Nginx.Start(t)
	before := map[string]map[string]answers.Met{}
	for _, site := range sites {
		before[site] = map[string]answers.Met{}
	}
	t.Run("before it was installed", func(t *testing.T) {
		for _, site := range sites {
			t.Run(site, func(t *testing.T) {
				t.Parallel()
				for _, request := range requests(h.Block(t, site)) {
					for _, as := range []answers.Visitor{answers.Anyone, answers.OrdinaryUser, answers.Administrator} {
						if request.Admin(as) == answers.Normal || as == answers.Administrator {
							before[site][request.Name+" by "+string(as)] = request.Send(t, h, site, as)
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
		visitors []answers.Visitor
		want     func(answers.Request, answers.Visitor) answers.Outcome
	}{
		{"before anything was set", nil, "online", []answers.Visitor{answers.Administrator}, answers.Request.Open},
		{"offline", []string{"set", "offline", "--all", "--eta", eta.Format(time.RFC3339)}, "offline", []answers.Visitor{answers.Anyone, answers.Administrator}, answers.Request.Closed},
		{"admin", []string{"set", "admin", "--all"}, "admin", []answers.Visitor{answers.Anyone, answers.OrdinaryUser, answers.Administrator}, answers.Request.Admin},
		{"online", []string{"set", "online", "--all"}, "online", []answers.Visitor{answers.Administrator}, answers.Request.Open},
	} {
		if step.set != nil {
			h.CLI(t, step.set...).Want(t, 0)
		}
		t.Run(step.name, func(t *testing.T) {
			for _, site := range sites {
				t.Run(site, func(t *testing.T) {
					t.Parallel()
					w := answers.Want{Host: h, Site: site, Mode: step.mode, Page: h.PageURL + "/" + site + "/"}
					if step.mode != "online" {
						w.Eta = &eta
					}
					if step.set != nil {
						w.Published = h.Published(t, site)
					}
					for _, request := range requests(h.Block(t, site)) {
						for _, as := range step.visitors {
							name := request.Name + " by " + string(as)
							t.Run(name, func(t *testing.T) {
								got := request.Send(t, h, site, as)
								w.Before, w.Message = before[site][name], request.Message
								w.Check(t, step.want(request, as), got)
							})
						}
					}
				})
			}
		})
	}
}

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
