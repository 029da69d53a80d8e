package e2e

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// remembering has nginx remember what the gate said, in a directory of the host's own.
func remembering(tb testing.TB, h *rig.Host) string {
	tb.Helper()
	dir := filepath.Join(h.Nginx.Dir, "verdicts")
	h.EditConfig(tb, "[gate]\n", fmt.Sprintf("[gate]\nremember = %q\n", dir))
	return dir
}

// checks is how often the gate was asked about a site.
func checks(tb testing.TB, socket, site string) int {
	tb.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	r, err := client.Get("http://gate/metrics")
	if err != nil {
		tb.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		tb.Fatal(err)
	}
	sum := 0
	for line := range strings.Lines(string(text)) {
		var n int
		if _, value, ok := strings.Cut(line, fmt.Sprintf("_total{site=%q} ", site)); ok {
			if _, err := fmt.Sscan(value, &n); err != nil {
				tb.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}

// TestRememberedVerdicts: an admission is remembered until the second is over, for exactly what it was said of; a refusal never.
func TestRememberedVerdicts(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	dir := remembering(t, s.Host)
	s.CLI(t, "render").Want(t, 0)
	s.WriteNginx(t)
	// What an operator may have for all sites, and would be fatal here.
	edit(t, filepath.Join(s.Nginx.Dir, "nginx.conf"), "    access_log off;\n", `    access_log off;
    proxy_cache_valid any 1h;
    proxy_ignore_headers X-Accel-Expires Expires Cache-Control Set-Cookie;
    proxy_cache_use_stale error timeout http_500 http_502 http_503 http_504 http_403 http_404 updating;
    proxy_cache_lock on;
    proxy_cache_background_update on;
    proxy_cache_bypass $arg_x;
    proxy_cache_key same;
    proxy_cache_methods POST;
    proxy_cache_min_uses 5;
    proxy_busy_buffers_size 8k;
`)
	s.Nginx.Start(t)
	gate := s.StartGate(t)
	s.CLI(t, "set", "admin").Want(t, 0)
	c, b := s.Client(), s.Blocks[0]
	admin := "Authorization: Bearer " + rig.AdminToken(b.Secret)
	user := "Authorization: Bearer " + rig.UserToken(b.Secret)
	ask := func(target string, header ...string) int {
		return c.Get(t, target, header...).Status
	}

	// Some of these fall into one second.
	before := checks(t, s.Socket(), b.Name)
	for i := range 100 {
		if got := ask(fmt.Sprintf("/server/api/%d", i), admin); got != 200 {
			t.Fatalf("an administrator: %d", got)
		}
	}
	if n := checks(t, s.Socket(), b.Name) - before; n > 60 {
		t.Errorf("the gate was asked %d times for 100 requests", n)
	}
	before = checks(t, s.Socket(), b.Name)
	for i := range 20 {
		ask("/server/api/1", admin)
		if got := ask("/server/api/1", user); got != 503 {
			t.Errorf("a user right after an administrator: %d", got)
		}
		for _, near := range []string{admin + "x", admin[:len(admin)-1], strings.Replace(admin, "Bearer", "Basic", 1)} {
			if got := ask("/server/api/1", near); got == 200 {
				t.Errorf("%d: nearly an administrator: %d", i, got)
			}
		}
	}
	if n := checks(t, s.Socket(), b.Name) - before; n < 20*4 {
		t.Errorf("refusals were remembered: the gate was asked %d times", n)
	}

	// A token that is larger than what is remembered.
	large := "Authorization: Bearer " + rig.Token(b.Secret, time.Now().Add(-time.Hour), map[string]any{"isAdmin": true, "x": strings.Repeat("x", 5000)})
	if got := ask("/server/api/1", large); got != 200 {
		t.Errorf("a large token: %d", got)
	}

	// Revoked, and expired, within a second.
	until := func(what string, header ...string) {
		t.Helper()
		began := time.Now()
		for ask("/server/api/1", header...) == 200 {
			if time.Since(began) > 2*time.Second { // one, and this machine may be busy
				t.Fatalf("%s: still in after %v", what, time.Since(began))
			}
		}
	}
	_, secret, _ := makePass(t, s.Host, b.Name)
	m := rig.Message{Method: "POST", Target: passTarget, Body: secret}
	cookie, _, _ := strings.Cut(c.Do(t, m).Header.Get("Set-Cookie"), ";")
	if got := ask("/server/api/1", "Cookie: "+cookie); got != 200 {
		t.Errorf("a pass: %d", got)
	}
	s.CLI(t, "pass", "--revoke").Want(t, 0)
	until("a revoked pass", "Cookie: "+cookie)
	rig.WriteSecret(t, s.EnvFile(b.Name), "JWT_SECRET='another-secret-that-is-long-enough-for-hs256'\n")
	until("under a secret that was replaced", admin)
	rig.WriteSecret(t, s.EnvFile(b.Name), "JWT_SECRET='"+b.Secret+"'\n")
	// A token is in these files: nobody but nginx is to read them.
	if got := ask("/server/api/1", admin); got != 200 { // and is remembered
		t.Errorf("once it is back: %d", got)
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // it was just forgotten
		}
		if info, err := d.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	gate.Kill(t)
	until("while the gate is down", admin)
}
