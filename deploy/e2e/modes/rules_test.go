package modes

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
	"github.com/msupply-foundation/conforma-status/status"
)

// legible are characters that a configuration may hold, with more of those that mean something to nginx.
var legible = []rune(`"'\\\\""'';{}#()~*^|&%=:/ab tnr0` + "\u0080é…🛠\u2028\ufffd")

// TestQuotedTextComesBack writes odd texts into nginx's configuration and asks for them over HTTP.
func TestQuotedTextComesBack(t *testing.T) {
	texts := []string{
		"", " ", `"`, `\`, `\\`, `\"`, `"\`, `\n`, `\t\r`, `\\n`, `'`, `;`, `}`, `{`, `#`, `a # b`, `"; return 500; "`, `\"; }`, `)`, `*/`, "é\u2028",
		strings.Repeat("a", 3998), strings.Repeat(`\`, 1999), strings.Repeat(`"`, 1999), strings.Repeat("é", 1999),
	}
	random := rand.New(rand.NewPCG(2026, 11)) // the same at each run
	for range 400 {
		text := make([]rune, random.IntN(60))
		for i := range text {
			text[i] = legible[random.IntN(len(legible))]
		}
		texts = append(texts, string(text))
	}
	addr := rig.Loopback(rig.Port(t))
	var conf strings.Builder
	fmt.Fprintf(&conf, "server {\nlisten %s;\ndefault_type text/plain;\nkeepalive_requests 10000;\n", addr)
	for i, text := range texts {
		quoted, err := nginxconf.Quote(text)
		if err != nil {
			t.Fatalf("quote %q: %v", text, err)
		}
		// As one of several words, next to a bracket, and as the last word.
		fmt.Fprintf(&conf, "location = /%d { set $said %s; if ($said = %s) { return 200 %s; } return 500; }\n", i, quoted, quoted, quoted)
	}
	conf.WriteString("}\n")
	nginx := rig.NewNginx(t)
	nginx.Configure(t, conf.String())
	nginx.Start(t)
	client := rig.Client{Addr: addr, Host: "demo.example.org"}
	conn := client.Dial(t)
	defer conn.Close()
	for i, text := range texts {
		if got := conn.Do(t, rig.Message{Target: fmt.Sprintf("/%d", i)}); got.Status != 200 || got.Body != text {
			t.Errorf("%q came back as %d %q", text, got.Status, got.Body)
		}
	}
}

// oddSites are legal, each in its own way. Their directories are below a directory of the test.
var oddSites = []nginxconf.Site{
	{Name: "plain", Dir: "sites/plain", PageURL: "https://m.example.org/plain/", Preset: "conforma"},
	{Name: "A-_0", Dir: "a b", PageURL: "http://127.0.0.1:18000/"},
	{Name: strings.Repeat("a", 63), Dir: `it's "quoted" \ and \\ and \n`, PageURL: "https://m.example.org/" + strings.Repeat("p", 1900) + "/"},
	{Name: "braces", Dir: "{DIR};{}#(a)~*|^", PageURL: "https://m.example.org/;,~!*'()@:&=+%7Bé/"},
	{Name: "words", Dir: "if", PageURL: "https://[2001:db8::1]:8443/{NAME}/off", LoginPaths: []string{"/sign-in", "/v1.2/~a@b/", "/" + strings.Repeat("l", 499)}},
	{Name: "off", Dir: "é…🛠", PageURL: "https://xn--exmple-cua.example.org/", Preset: "conforma", LoginPaths: []string{"/a/"}, Door: "0123456789abcdef"},
	{Name: "long", Dir: strings.Repeat(strings.Repeat("d", 100)+"/", 20) + "e", PageURL: "https://m.example.org/"},
}

// TestOddRulesWork gives nginx the rules of sites with odd names, places and addresses, and asks it whether it
// understood them.
func TestOddRulesWork(t *testing.T) {
	nginx := rig.NewNginx(t)
	socket := filepath.Join(nginx.Dir, `a "gate"; \ {#`)
	socket += strings.Repeat("x", 107-len(socket)) // as long as a socket's path may be
	http, err := nginxconf.HTTP(nginxconf.Shared{GateSocket: socket})
	if err != nil {
		t.Fatal(err)
	}
	rig.WriteFile(t, filepath.Join(nginx.Dir, "http.conf"), string(http))

	var servers strings.Builder
	servers.WriteString("include http.conf;\n")
	sites := make([]nginxconf.Site, len(oddSites))
	ports := make([]string, len(oddSites))
	for i, s := range oddSites {
		s.Dir = filepath.Join(nginx.Dir, "odd", s.Dir)
		s.AppURL = `https://demo.example.org:50000/{PAGE_URL}/é;'`
		rig.WriteFile(t, filepath.Join(s.Dir, nginxconf.UnavailableFile), s.Name)
		sites[i], ports[i] = s, rig.Loopback(rig.Port(t))
		fmt.Fprintf(&servers, "server { include %d.conf; listen %s; location / { return 200 application; } }\n", i, ports[i])
	}
	nginx.Configure(t, servers.String())

	for _, mode := range status.Modes() {
		for i, s := range sites {
			rules, err := s.Render(mode, "1-00000000")
			if err != nil {
				t.Fatalf("%s: %v", s.Name, err)
			}
			rig.WriteFile(t, filepath.Join(nginx.Dir, fmt.Sprintf("%d.conf", i)), string(rules))
		}
		args := nginx.Args("-t")
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: nginx -t: %v\n%s", mode, err, out)
		}
		nginx.Start(t)
		for i, s := range sites {
			target := operator.Target{Site: s.Name, Addr: ports[i], URL: "http://demo.example.org"}
			client := rig.Client{Addr: ports[i], Host: "demo.example.org"}
			closed := filepath.Join(s.Dir, nginxconf.ClosedFile)
			for _, shut := range []bool{false, true} {
				if shut {
					rig.WriteFile(t, closed, "")
				}
				want := control.Answer{Site: s.Name, Mode: mode, Revision: "1-00000000", Closed: shut}
				got, err := control.Nginx{}.Probe(t.Context(), target)
				if want.PID = got.PID; err != nil || got != want || got.PID == 0 {
					t.Errorf("%s, %s, shut %v: the probe says %+v, %v", s.Name, mode, shut, got, err)
				}
				page := client.Get(t, "/", "Accept: text/html")
				api := client.Get(t, "/api", "Accept: application/json")
				if mode == status.Online && !shut {
					if page.Body != "application" || api.Body != "application" {
						t.Errorf("%s is open, and answers %d %q, %d %q", s.Name, page.Status, page.Body, api.Status, api.Body)
					}
					continue
				}
				if page.Status != 302 || page.Header.Get("Location") != s.PageURL {
					t.Errorf("%s, %s, shut %v: sends visitors with %d to %q", s.Name, mode, shut, page.Status, page.Header.Get("Location"))
				}
				if api.Status != 503 || api.Body != s.Name {
					t.Errorf("%s, %s, shut %v: tells scripts %d %q", s.Name, mode, shut, api.Status, api.Body)
				}
			}
			// What it says when its file is gone is valid too.
			answer := client.Get(t, nginxconf.StatusPath)
			if d, err := status.Parse([]byte(answer.Body)); err != nil || d.Site != s.Name || d.Mode != mode || d.PageURL != s.PageURL || d.AppURL != s.AppURL {
				t.Errorf("%s, %s: without its file the status is %d %s (%v)", s.Name, mode, answer.Status, answer.Body, err)
			}
			if err := os.Remove(closed); err != nil {
				t.Fatal(err)
			}
		}
		nginx.Stop(t)
	}
}
