package gate

import (
	"encoding/base64"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/answers"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestAdminModeTokens puts tokens to nginx and the real gate in admin mode: one kind gets through.
func TestAdminModeTokens(t *testing.T) {
	t.Parallel()
	h := rig.NewHost(t)
	h.Install(t)
	gate := h.StartGate(t)
	h.CLI(t, "set", "admin", "--site", "demo", "--site", "north").Want(t, 0)
	b := h.Block(t, "demo")
	secret := b.Secret
	now := time.Now()
	claims := func(more map[string]any) map[string]any {
		all := map[string]any{"isAdmin": true, "role": "postgres"}
		maps.Copy(all, more)
		return all
	}
	admin := rig.Token(secret, now.Add(-time.Hour), claims(nil))
	head, rest, _ := strings.Cut(admin, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	for _, tt := range []struct {
		name          string
		authorization []string
		admitted      bool
	}{
		{"an administrator", []string{"Bearer " + admin}, true},
		{"an administrator, in another case", []string{"bearer " + admin}, true},
		{"an administrator of hours ago", []string{"Bearer " + rig.Token(secret, now.Add(-7*time.Hour), claims(nil))}, true},
		{"too old", []string{"Bearer " + rig.Token(secret, now.Add(-9*time.Hour), claims(nil))}, false},
		{"from tomorrow", []string{"Bearer " + rig.Token(secret, now.Add(24*time.Hour), claims(nil))}, false},
		{"without a time", []string{"Bearer " + rig.Token(secret, now, claims(map[string]any{"iat": nil}))}, false},
		{"expired", []string{"Bearer " + rig.Token(secret, now.Add(-time.Hour), claims(map[string]any{"exp": now.Add(-time.Minute).Unix()}))}, false},
		{"a user", []string{"Bearer " + rig.UserToken(secret)}, false},
		{"isAdmin in words", []string{"Bearer " + rig.Token(secret, now, claims(map[string]any{"isAdmin": "true"}))}, false},
		{"isAdmin is 1", []string{"Bearer " + rig.Token(secret, now, claims(map[string]any{"isAdmin": 1}))}, false},
		{"ISADMIN", []string{"Bearer " + rig.Token(secret, now, map[string]any{"isAdmin": nil, "ISADMIN": true})}, false},
		{"its aud is not the audience of [site.jwt]", []string{"Bearer " + rig.Token(secret, now, claims(map[string]any{"aud": "metabase"}))}, false},
		{"of the site next door", []string{"Bearer " + rig.AdminToken(h.Block(t, "north").Secret)}, false},
		{"with the default secret", []string{"Bearer " + rig.AdminToken("devsecret")}, false},
		{"with an empty secret", []string{"Bearer " + rig.AdminToken("")}, false},
		{"unsigned", []string{"Bearer " + none + "." + payload + "."}, false},
		{"unsigned, with a signature", []string{"Bearer " + none + "." + payload + "." + signature}, false},
		{"cut off", []string{"Bearer " + head + "." + payload}, false},
		{"nothing", nil, false},
		{"an empty header", []string{""}, false},
		{"Bearer and nothing", []string{"Bearer "}, false},
		{"Basic", []string{"Basic " + base64.StdEncoding.EncodeToString([]byte("admin:"+admin))}, false},
		{"two tokens, the first an administrator's", []string{"Bearer " + admin, "Bearer " + rig.UserToken(secret)}, false},
		{"two tokens, the second an administrator's", []string{"Bearer " + rig.UserToken(secret), "Bearer " + admin}, false},
	} {
		for protocol, send := range map[string]func(testing.TB, rig.Message) rig.Response{
			"HTTP/1.1": h.Client(t, "demo").Do, "HTTP/2": h.Client(t, "demo").DoHTTP2,
		} {
			t.Run(tt.name+" over "+protocol, func(t *testing.T) {
				m := rig.Program(rig.GraphQL(b.Origin()))
				for _, a := range tt.authorization {
					m = m.With("Authorization: " + a)
				}
				n := b.App.Count()
				r := send(t, m)
				if admitted := r.Status == 200; admitted != tt.admitted {
					t.Errorf("got %d, want admitted %v", r.Status, tt.admitted)
				}
				if reached := b.App.Count() > n; reached != tt.admitted {
					t.Errorf("reached the application: %v, want %v", reached, tt.admitted)
				}
			})
		}
	}

	// While the gate is down nobody gets in, and it need only come back.
	m := rig.Program(rig.GraphQL(b.Origin())).With("Authorization: Bearer " + admin)
	said := gate.Output(t)
	gate.Kill(t)
	w := answers.Want{Host: h, Site: "demo", Mode: "admin", Page: h.PageURL + "/demo/", Message: m}
	w.Check(t, answers.Refused, answers.Request{Message: m}.Send(t, h, "demo", answers.Anyone))
	if r := h.Client(t, "demo").Do(t, rig.Navigation("/login")); r.Status != 200 {
		t.Errorf("the login page without a gate: got %d", r.Status)
	}
	gate = h.StartGate(t)
	rig.WaitFor(t, "administrators to be let in again", func() bool { return h.Client(t, "demo").Do(t, m).Status == 200 })

	said += gate.Output(t)
	for line := range strings.Lines(h.Nginx.ErrorLog(t)) {
		if !strings.Contains(line, "client sent duplicate header line") { // nginx's own, at level info: it quotes both
			said += line
		}
	}
	for _, part := range []string{admin, payload, signature, secret} {
		if strings.Contains(said, part) {
			t.Error("a token or secret is in a log")
		}
	}
}

// TestGateIsAskedWhateverTheServerHas: what an operator has for the application is not for the question to the gate.
func TestGateIsAskedWhateverTheServerHas(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.Server = "proxy_bind 127.0.0.1;\nlocation /server/ { client_max_body_size 1000M; proxy_pass http://" + rig.Loopback(s.App.Port) + "; }"
	s.Install(t)
	s.StartGate(t)
	s.CLI(t, "set", "admin").Want(t, 0)
	c, admin := s.Client(), "Authorization: Bearer "+rig.AdminToken(s.Blocks[0].Secret)
	for _, size := range []int{1 << 10, 3 << 20} { // nginx takes a megabyte where nothing is said
		if r := c.Do(t, rig.Program(rig.Upload(s.URL, size)).With(admin)); r.Status != 200 {
			t.Errorf("an administrator's upload of %d bytes: %d", size, r.Status)
		}
	}
	large := rig.Program(rig.Upload(s.URL, 3<<20)).With(admin)
	large.Target = "/upload" // outside the location
	if r := c.Do(t, large); r.Status != 413 {
		t.Errorf("an upload that is too large for the application: %d", r.Status)
	}
	if r := c.Do(t, rig.Navigation(passTarget)); r.Status != 200 {
		t.Errorf("the pass page: %d", r.Status)
	}
}

// TestRewriteLogTellsNoSecrets: an operator who is after a rewrite rule has nginx log what is held against each
// pattern.
func TestRewriteLogTellsNoSecrets(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.CLI(t, "render").Want(t, 0)
	s.WriteNginx(t)
	rig.Edit(t, filepath.Join(s.Nginx.Dir, "nginx.conf"), "    access_log off;\n", "    access_log off;\n    rewrite_log on;\n")
	s.Nginx.Start(t)
	s.StartGate(t)
	s.CLI(t, "set", "admin").Want(t, 0)
	c, token := s.Client(), rig.AdminToken(s.Blocks[0].Secret)
	offer := c.Do(t, rig.Program(rig.Fetch("/server/api/user-info", s.URL)).With("Authorization: Bearer "+token, "Referer: "+s.URL+"/login"))
	cookie, _, _ := strings.Cut(offer.Header.Get("Set-Cookie"), ";")
	if offer.Status != 307 || cookie == "" {
		t.Fatalf("no cookie: %d %v", offer.Status, offer.Header)
	}
	for _, m := range []rig.Message{rig.OldNavigation("/application/1"), rig.Navigation("/application/1"), rig.GraphQL(s.URL).With("Authorization: Bearer " + token)} {
		if r := c.Do(t, m.With("Cookie: "+cookie)); r.Status != 200 {
			t.Errorf("%s %s: %d", m.Method, m.Target, r.Status)
		}
	}
	log := s.Nginx.ErrorLog(t)
	if !strings.Contains(log, `matches "GET /application/1"`) && !strings.Contains(log, `does not match "GET /application/1"`) {
		t.Error("nginx doesn't log what is held against a pattern")
	}
	_, value, _ := strings.Cut(cookie, "=")
	for _, secret := range []string{token, value} {
		if strings.Contains(log, secret) {
			t.Errorf("nginx logged a token or cookie:\n%s", lineWith(log, secret))
		}
	}
}
