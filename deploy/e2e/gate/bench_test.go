package gate

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/bench"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// njsModule is in Debian's libnginx-mod-http-js.
const njsModule = "/usr/lib/nginx/modules/ngx_http_js_module.so"

// njsGate is what the gate checks of an administrator's token, in njs.
const njsGate = `import crypto from 'crypto';
const secret = %q;
function check(r) {
  const parts = (r.headersIn.Authorization || '').split(' ');
  const token = (parts[1] || '').split('.');
  if (parts.length !== 2 || parts[0].toLowerCase() !== 'bearer' || token.length !== 3) return r.return(401);
  const mac = crypto.createHmac('sha256', secret).update(token[0] + '.' + token[1]).digest('base64url');
  if (mac !== token[2]) return r.return(401);
  const header = JSON.parse(Buffer.from(token[0], 'base64url').toString());
  const claims = JSON.parse(Buffer.from(token[1], 'base64url').toString());
  const now = Date.now() / 1000;
  const good = header.alg === 'HS256' && header.crit === undefined && claims.aud === 'postgraphile' && claims.isAdmin === true &&
    claims.iat <= now + 30 && now - claims.iat < 8 * 3600 + 30 && (claims.exp === undefined || claims.exp + 30 > now);
  r.return(good ? 204 : 401);
}
export default { check };
`

// BenchmarkGate compares how many requests per second nginx serves in admin mode and without any rules, in turns within
// one run: an administrator's with the gate asked each time, and with the same check in njs; and a visitor's, who
// brings no token, beside a bare redirect.
func BenchmarkGate(b *testing.B) {
	if _, err := os.Stat(njsModule); err != nil {
		b.Fatalf("%v: make bench installs libnginx-mod-http-js", err)
	}
	type place struct {
		addr, request string
	}
	places := map[string]place{}
	s := rig.NewSingle(b)
	block := s.Blocks[0]
	s.CLI(b, "render").Want(b, 0)
	s.WriteNginx(b)
	plain, redirect, js, upstream := rig.Loopback(rig.Port(b)), rig.Loopback(rig.Port(b)), rig.Loopback(rig.Port(b)), rig.Loopback(rig.Port(b))
	conf := filepath.Join(s.Nginx.Dir, "nginx.conf")
	bench.OneWorker(b, conf)
	rig.Edit(b, conf, rig.Loopback(s.App.Port), upstream) // nginx itself, which is quicker than any application
	rig.Edit(b, conf, "    access_log off;\n", "    access_log off;\n    keepalive_requests 1000000000;\n    js_import gate from gate.js;\n")
	rig.Edit(b, conf, "events {", "load_module "+njsModule+";\nevents {")
	rig.WriteFile(b, filepath.Join(s.Nginx.Dir, "gate.js"), fmt.Sprintf(njsGate, block.Secret))
	pass := "location / { proxy_pass http://" + upstream + "; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; }"
	rig.WriteFile(b, s.Enabled("bench.conf"), fmt.Sprintf(`
server { listen %s; %s }
server { listen %s; return 302 %s/demo/; }
server { listen %s; auth_request /auth; location = /auth { internal; js_content gate.check; } %s }
server { listen %s; location / { return 200 ok; } }
`, plain, pass, redirect, s.PageURL, js, pass, upstream))
	s.Nginx.Start(b)
	s.StartGate(b)
	s.CLI(b, "set", "admin", "--force").Want(b, 0) // the others lead to the same upstream
	token := strings.Replace(bench.Navigation, "\r\n\r\n", "\r\nAuthorization: Bearer "+rig.AdminToken(block.Secret)+"\r\n\r\n", 1)
	places["asked"] = place{rig.Loopback(block.Port), token}
	places["plain-asked"] = place{plain, token}
	places["njs"] = place{js, token}
	places["visitor"], places["redirect"] = place{rig.Loopback(block.Port), bench.Navigation}, place{redirect, bench.Navigation}
	places["visitor, no Sec-Fetch-Mode"], places["redirect, no Sec-Fetch-Mode"] = place{rig.Loopback(block.Port), bench.OldNavigation}, place{redirect, bench.OldNavigation}
	pairs := []struct{ name, these, those string }{
		{"asked/ungated(>=0.35)", "asked", "plain-asked"},
		{"njs/ungated", "njs", "plain-asked"}, {"visitor/302(>=0.85)", "visitor", "redirect"},
		{"visitor/302-no-Sec-Fetch-Mode", "visitor, no Sec-Fetch-Mode", "redirect, no Sec-Fetch-Mode"},
	}
	order := slices.Sorted(func(yield func(string) bool) {
		for name := range places {
			if !yield(name) {
				return
			}
		}
	})
	rates := map[string][]float64{}
	for b.Loop() {
		for range 40 {
			for _, name := range order {
				rates[name] = append(rates[name], bench.Rate(b, places[name].addr, places[name].request, 50*time.Millisecond))
			}
			slices.Reverse(order) // so that none always comes after the same
		}
	}
	b.ReportMetric(0, "ns/op")
	for _, p := range pairs {
		b.ReportMetric(bench.Ratio(rates[p.these], rates[p.those]), p.name)
	}
	for name, all := range rates {
		if !strings.Contains(name, ",") {
			b.ReportMetric(bench.Median(all), name+"-req/s")
		}
	}
}

// BenchmarkGateMemory has the gate check a million tokens, of which a hundred thousand differ, and tells how much
// memory it has then.
func BenchmarkGateMemory(b *testing.B) {
	const different, connections, rounds = 100_000, 50, 10
	s := rig.NewSingle(b)
	gate := s.StartGate(b)
	secret := s.Blocks[0].Secret
	requests := make([]string, different)
	var wait sync.WaitGroup
	for c := range connections {
		wait.Go(func() {
			for i := c; i < different; i += connections {
				token := rig.Token(secret, time.Now().Add(-time.Hour), map[string]any{"isAdmin": true, "sessionId": fmt.Sprint(i)})
				requests[i] = "GET /check/demo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\n\r\n"
			}
		})
	}
	wait.Wait()
	for b.Loop() {
		for c := range connections {
			wait.Go(func() {
				conn, err := net.Dial("unix", s.Socket())
				if err != nil {
					b.Error(err)
					return
				}
				defer conn.Close()
				r := bufio.NewReader(conn)
				for range rounds {
					for i := c; i < different; i += connections {
						if _, err := io.WriteString(conn, requests[i]); err != nil {
							b.Error(err)
							return
						}
						first := true
						for line := ""; line != "\r\n"; first = false {
							if line, err = r.ReadString('\n'); err != nil || first && !strings.HasPrefix(line, "HTTP/1.1 204 ") {
								b.Errorf("%q, %v", line, err)
								return
							}
						}
					}
				}
			})
		}
		wait.Wait()
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", gate.PID()))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		for field, name := range map[string]string{"VmRSS:": "gate-MB(<30)", "VmHWM:": "gate-peak-MB"} {
			var kb float64
			if rest, ok := strings.CutPrefix(line, field); ok {
				if _, err := fmt.Sscan(rest, &kb); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(kb/1024, name)
			}
		}
	}
	b.ReportMetric(float64(b.N)*different*rounds/b.Elapsed().Seconds(), "checks/s")
}
