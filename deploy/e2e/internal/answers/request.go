package answers

import (
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// Met is what a request met: its answer, and what the application saw of it.
type Met struct {
	answer  rig.Response
	reached []rig.Request
}

// Send sends the request to a site. Nobody else must be talking to that site.
func (r Request) Send(t *testing.T, h *rig.Host, site string, as Visitor) Met {
	t.Helper()
	b := h.Block(t, site)
	c, m := h.Client(t, site), r.Message
	switch as {
	case OrdinaryUser:
		m = m.With("Authorization: Bearer " + tokenOf(b.Secret, false))
	case Administrator:
		m = m.With("Authorization: Bearer " + tokenOf(b.Secret, true))
	}
	n, open := b.App.Count(), len(b.App.Open())
	var got Met
	do := c.Do
	switch r.Over {
	case "HTTP/2":
		do = c.DoHTTP2
	case "plain HTTP":
		c.TLS = nil
		do = c.Do
	}
	got.answer = do(t, m)
	// A script of the site is first given a cookie, by a redirect to where it was going. This one doesn't keep it.
	if as == Administrator && got.answer.Status == 307 && strings.HasPrefix(got.answer.Header.Get("Set-Cookie"), "conforma-status-") {
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

// Request is one request and what becomes of it.
type Request struct {
	Name    string
	Message rig.Message
	Outcomes
	Over string // "HTTP/2", "plain HTTP", or "" for HTTP/1 over TLS
}

// Outcomes are those of one request: online and offline whoever sends it, and in admin mode with no token, with a
// user's, and with an administrator's.
type Outcomes struct{ Online, Offline, Anyone, User, Administrator Outcome }

// Visitor is whose token comes with a request.
type Visitor string

const (
	Anyone        Visitor = "anyone" // no token
	OrdinaryUser  Visitor = "a user"
	Administrator Visitor = "an administrator"
)

func (r Request) Open(Visitor) Outcome { return r.Online }

func (r Request) Closed(Visitor) Outcome { return r.Offline }

func (r Request) Admin(as Visitor) Outcome {
	return map[Visitor]Outcome{Anyone: r.Anyone, OrdinaryUser: r.User, Administrator: r.Administrator}[as]
}
