package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/status/client"
)

// purged lays out what a host has, in places of its own, has dpkg's part and postrm's done, and prints what is left.
const purged = `
for d in /etc/nginx /var/lib /var/log /run; do mount -t tmpfs none $d; done
mkdir -p /etc/nginx/conf.d /etc/nginx/sites-available /etc/nginx/conforma-status/sites /etc/nginx/conforma-status/backup /var/lib/conforma-status/sites/demo
mkdir /var/lib/nginx /var/log/nginx
cd /etc/nginx
echo 'user root root; events {} http { include conf.d/*.conf; server { listen unix:/run/nginx.sock; include site; } }' >nginx.conf
echo 'include /etc/nginx/conforma-status/http.con[f];' >conf.d/conforma-status.conf
echo 'map $uri $conforma_kind { default x; }' >conforma-status/http.conf
printf '%s\n' '# conforma-status: site demo is offline, revision 1-00000000.' 'if ($uri = /.conforma-status/sw.js) { break; }' 'return 503 $conforma_kind;' \
  'location = /.conforma-status/sw.js {' '  return 200 "the worker";' '}' 'location = /.conforma-status/x { return 204; }' >conforma-status/sites/demo.conf
echo 'include /etc/nginx/conforma-status/sites/demo.conf;' >site
cp conforma-status/sites/demo.conf conforma-status/sites/demo.conf.previous
touch /var/lib/conforma-status/sites/demo/closed
removed=
eval "$2"
works() { nginx -t -q 2>&1 || echo "$1 nginx does not work"; }
[ "$3" = broken ] || works before
sh "$1" remove 2>&1
[ "$3" = broken ] || works removed,
eval "$removed"
rm conf.d/conforma-status.conf
sh "$1" purge 2>&1
[ "$3" = broken ] || works purged,
grep -rhs 'return 200' /etc/nginx/conforma-status/sites | sed 's/^/serves /' || true
find /etc/nginx /var/lib -path '*conforma-status*' -not -type d -printf 'left %p %s\n' | sort
`

// TestPostrm: what is left where a package is purged depends on what nginx includes, in whatever way it does; and
// nginx works.
func TestPostrm(t *testing.T) { postrm(t, rig.Only(usualPurges...)) }

// usualPurges are those of make test. The others are in the soak tests.
var usualPurges = []string{"closed", "closed, and nginx's configuration broken by somebody", "open", "open, and not included"}

func postrm(t *testing.T, rows rig.Rows) {
	t.Parallel()
	script, err := filepath.Abs(filepath.Join("..", "..", "package", "postrm"))
	rig.Check(t, err)
	const conf, include, state = "/etc/nginx/conforma-status/", "/etc/nginx/conf.d/conforma-status.conf", "/var/lib/conforma-status/"
	closed := []string{include, conf + "http.conf", conf + "sites/demo.conf", state + "http-include.conf", state + "sites/demo/closed"}
	without := func(out string) (in []string) {
		for _, path := range closed {
			if path != out {
				in = append(in, path)
			}
		}
		return in
	}
	gone, err := nginxconf.Quote(client.NoWorker())
	rig.Check(t, err)
	for _, c := range []struct {
		name, layout string
		left         []string
	}{
		{"closed", "", closed},
		{"closed, and http.conf included by another file", `echo '# not here' >conf.d/conforma-status.conf; sed -i 's,http {,http { include conforma-status/http.conf;,' nginx.conf`, without(include)},
		{"closed, included by a pattern", "echo 'include conforma-status/sites/*.conf;' >site", closed},
		{"closed, included by a pattern, and broken by somebody", "echo 'include conforma-status/sites/*.conf;' >site; echo '}' >>nginx.conf", closed},
		{"closed, and the state elsewhere", "rm -r /var/lib/conforma-status", closed[:4]},
		{"closed, and nginx's configuration broken by somebody", "echo '}' >>nginx.conf", closed},
		{"closed, and not enabled", "mv site sites-available; touch site", closed},
		{"closed, and no longer included but in a backup", "mv site conforma-status/backup; touch site", nil},
		{"closed, and no longer included when it is purged", "removed='echo >site'", nil},
		{"closed, and included in a comment", "echo '# include conforma-status/sites/demo.conf;' >site", nil},
		{"shut by its file", "sed -i 's,is offline,is online,' conforma-status/sites/demo.conf", closed},
		{"shut by its file, and the state elsewhere", `sed -i 's,is offline,is online,;1a if (-f "/run/state/sites/demo/closed") { break; }' conforma-status/sites/demo.conf; mv /var/lib/conforma-status /run/state`, closed[:4]},
		{"open", "sed -i 's,is offline,is online,' conforma-status/sites/demo.conf; rm /var/lib/conforma-status/sites/demo/closed", []string{conf + "sites/demo.conf"}},
		{"open, and not included", "sed -i 's,is offline,is online,' conforma-status/sites/demo.conf; rm /var/lib/conforma-status/sites/demo/closed; echo >site", nil},
	} {
		if !rows(c.name) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			broken := ""
			if strings.Contains(c.layout, "'}'") {
				broken = "broken"
			}
			argv := append(rig.AsRootWith("-m"), "sh", "-euc", purged, "sh", script, c.layout, broken)
			cmd := exec.Command(argv[0], argv[1:]...)
			cmd.Env = []string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin"}
			data, err := cmd.CombinedOutput()
			said := string(data)
			if err != nil || strings.Contains(said, "does not work") {
				t.Fatalf("%v\n%s", err, said)
			}
			var left []string
			served := 0
			for line := range strings.Lines(said) {
				if text, ok := strings.CutPrefix(line, "serves "); ok {
					served++
					if want := "  return 200 " + gone + ";\n"; text != want {
						t.Errorf("what is left has nginx serve %s, want %s", text, want)
					}
				}
				if f := strings.Fields(line); f[0] == "left" {
					left = append(left, f[1])
					if (f[2] == "0") != strings.HasSuffix(f[1], "/closed") {
						t.Errorf("%s has %s bytes", f[1], f[2])
					}
				}
			}
			if strings.Join(left, "\n") != strings.Join(c.left, "\n") {
				t.Errorf("left are\n%s\nwant\n%s\nand it says\n%s", strings.Join(left, "\n"), strings.Join(c.left, "\n"), said)
			}
			if rules := slices.Contains(left, conf+"sites/demo.conf"); served != 1 && rules || served > 0 && !rules {
				t.Errorf("%d scripts are served in the place of the service worker\n%s", served, said)
			}
			if named := strings.Contains(said, "    rm -r "); named != (len(c.left) > 1) {
				t.Errorf("says what to delete: %v\n%s", named, said)
			}
			for _, path := range c.left {
				if before, _, _ := strings.Cut(said, "left /"); !strings.Contains(before, strings.SplitAfter(path, "conforma-status")[0]) {
					t.Errorf("it doesn't say that %s is left:\n%s", path, said)
				}
			}
		})
	}
}
