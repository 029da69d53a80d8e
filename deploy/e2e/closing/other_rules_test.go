package closing

import (
	"fmt"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// What the operator has in nginx's configuration beside the include is theirs; what is closed is closed all the same,
// or the command doesn't say that it is.

func TestServersOwnRewriteRulesLeadNowherePastTheRules(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string]string{
		"on a cookie":      `if ($http_cookie ~ beta) { rewrite ^/(.*)$ /beta/$1 last; }`,
		"front controller": `if (!-e $request_filename) { rewrite ^ /index.php last; }`,
		"all of it":        `rewrite ^/(.*)$ /v2/$1 break;`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := rig.NewSingle(t)
			s.Server = rules
			s.Install(t)
			s.StartGate(t)
			s.CLI(t, "set", "offline").Want(t, 0)
			for mode, header := range map[string][]string{"offline": {"Cookie: beta"}, "admin": {"Cookie: beta", "Authorization: Bearer junk"}} {
				s.CLI(t, "set", mode).Want(t, 0)
				before := s.App.Count()
				if r := s.Client().Do(t, rig.Post(header...)); r.Status != 503 || !strings.Contains(r.Body, `"error":"maintenance"`) {
					t.Errorf("%s: a refused request is answered by %d %q", mode, r.Status, r.Body)
				}
				if r := s.Client().Get(t, "/.conforma-status/status.json", header...); r.Status != 200 {
					t.Errorf("%s: the status is answered by %d", mode, r.Status)
				}
				if n := s.App.Count() - before; n != 0 {
					t.Errorf("%s: %d requests reached the application", mode, n)
				}
			}
		})
	}
}

func TestAHoleThatWasAddedSince(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.Install(t)
	s.CLI(t, "set", "offline").Want(t, 0)
	rig.WriteFile(t, s.Enabled("other.conf"), fmt.Sprintf("server { listen %s; location / { proxy_pass http://%s; } }\n",
		rig.Loopback(rig.Port(t)), rig.Loopback(s.App.Port)))
	if r := s.CLI(t, "set", "offline").Want(t, 1); !strings.Contains(r.Stderr, "other.conf:1") || !strings.Contains(r.Stderr, "hint:") {
		t.Errorf("doesn't name the hole: %s", r.Stderr)
	}
	if r := s.CLI(t, "set", "offline", "--force").Want(t, 0); !strings.Contains(r.Stderr, "other.conf:1") {
		t.Errorf("doesn't warn of the hole: %s", r.Stderr)
	}
}

func TestAServerIsAskedUnderANameOfItsOwn(t *testing.T) {
	t.Parallel()
	for names, host := range map[string]string{"*.demo.test": "north.demo.test", ".demo.test": "demo.test", "_ other.* *.Demo.Test": "a.b.demo.test"} {
		t.Run(names, func(t *testing.T) {
			t.Parallel()
			s := rig.NewSingle(t)
			s.Server = "server_name " + names + ";"
			s.Install(t)
			addr := rig.Loopback(s.Blocks[0].Port)
			rig.WriteFile(t, s.Enabled("other.conf"), "server { listen "+addr+" default_server; return 200 other; }\n")
			s.CLI(t, "set", "offline").Want(t, 0)
			if r := (rig.Client{Addr: addr, Host: host}).Do(t, rig.Post()); r.Status != 503 {
				t.Errorf("the site is not shut: %d", r.Status)
			}
			if r := s.Client().Get(t, "/"); r.Body != "other" { // under the host of app_url
				t.Errorf("the host of app_url is not answered by the other server: %d %q", r.Status, r.Body)
			}
		})
	}
}

func TestAConfigurationThatCantBeLookedThroughIsNotSafe(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.NoBarrier(t)
	s.Install(t)
	rig.WriteFile(t, s.Enabled("odd.conf"), "# configuration file /etc/nginx/other.conf:\nmap $uri $odd { default 0; }\nserver {\n# configuration file /x:\nlisten "+rig.Loopback(rig.Port(t))+"; }\n")
	r := s.CLI(t, "set", "offline").Want(t, 4)
	if !strings.Contains(r.Stderr, "can't be looked through") {
		t.Errorf("doesn't say why it isn't safe: %s", r.Stderr)
	}
}
