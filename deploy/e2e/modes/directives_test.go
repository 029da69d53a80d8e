package modes

import (
	"bytes"
	"crypto/tls"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/status"
)

//go:embed testdata/directives.txt
var directivesTable string

// row is what an operator has in a server block beside the include of the rules.
type row struct {
	group, name, text string
	port              int
}

// directives reads the table.
func directives(t *testing.T) (rows []row) {
	t.Helper()
	group := ""
	braces := regexp.MustCompile(`\{([a-z,]+)\}_`)
	for line := range strings.Lines(directivesTable) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "# "); ok {
			if name, _, ok := strings.Cut(rest, ":"); ok && !strings.Contains(name, " ") {
				group = name
			}
			continue
		}
		if line == "" {
			continue
		}
		each := []string{""}
		if m := braces.FindStringSubmatch(line); m != nil {
			each = strings.Split(m[1], ",")
		}
		for _, one := range each {
			text := braces.ReplaceAllString(line, one+"_")
			name, _, _ := strings.Cut(text, " ")
			rows = append(rows, row{group: group, name: strings.TrimSuffix(name, ";"), text: text})
		}
	}
	return rows
}

// beside is a host with a server block for each row, all of which follow the rules of one site.
type beside struct {
	*rig.Single
	rules nginxconf.Site
	http  string // what else the operator has in http {}
	rows  []row
}

func newBeside(t *testing.T, program, http string, rows []row) *beside {
	b := &beside{Single: rig.NewSingle(t), http: http, rows: rows}
	b.Nginx.Program = program
	dir := b.Nginx.Dir
	rig.WriteFile(t, filepath.Join(dir, "www", "error.html"), "an error\n")
	rig.WriteFile(t, filepath.Join(dir, "users"), "own:{PLAIN}own\n")
	rig.WriteFile(t, filepath.Join(dir, "quic.key"), strings.Repeat("k", 48))
	rig.NewCertificate(t, filepath.Join(dir, "cert"), rig.Hostname)
	args := b.Nginx.Args("-t")
	build, err := control.Nginx{TestCommand: args}.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.rules = nginxconf.Site{
		Name: rig.SingleSite, Dir: filepath.Join(b.State, "sites", rig.SingleSite), AppURL: b.URL, PageURL: b.PageURL + "/demo/",
		Preset: "conforma", Modules: build.Modules,
	}
	maps, err := nginxconf.HTTP(nginxconf.Shared{GateSocket: b.Socket(), Modules: build.Modules})
	if err != nil {
		t.Fatal(err)
	}
	rig.WriteFile(t, filepath.Join(b.ConfDir, "http.conf"), string(maps))
	first := rig.Ports(t, len(rows))
	for i := range b.rows {
		b.rows[i].port = first + i
	}
	return b
}

// configure writes nginx's configuration, with the include lines or without, and returns what nginx says of it.
func (b *beside) configure(t *testing.T, include bool) (said string, ok bool) {
	t.Helper()
	dir, app := b.Nginx.Dir, rig.Loopback(b.App.Port)
	var conf strings.Builder
	conf.WriteString(`    include ` + b.ConfDir + `/http.conf;
    limit_req_zone $server_port zone=requests:1m rate=1r/m;
    limit_conn_zone $server_port zone=connections:1m;
` + b.http + "\n")
	for _, family := range []string{"proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&conf, "    %s_cache_path %s/tmp/%[1]s-kept keys_zone=%[1]s-kept:1m;\n", family, dir)
	}
	for _, r := range b.rows {
		line, tls := "", ""
		if include {
			line = "include " + b.SiteFile(rig.SingleSite) + ";"
		}
		if r.secure() {
			tls = fmt.Sprintf(" ssl; ssl_certificate %s/cert/fullchain.pem; ssl_certificate_key %[1]s/cert/privkey.pem", dir)
			if r.name != "ssl_protocols" { // by default nginx 1.22 has no 1.3
				tls += "; ssl_protocols TLSv1.2 TLSv1.3"
			}
		}
		text := strings.NewReplacer("%DIR%", dir, "%CERT%", dir+"/cert", "_cache kept", "_cache "+strings.TrimSuffix(r.name, "_cache")+"-kept").Replace(r.text)
		fmt.Fprintf(&conf, "    server { %s listen %s%s; %s location / { proxy_pass http://%s; } location = /tail { internal; return 200 TAIL; } "+
			"location = /mirrored { internal; return 204; } location = /error.html { root %s/www; } }\n", line, rig.Loopback(r.port), tls, text, app, dir)
	}
	b.Nginx.Configure(t, conf.String())
	// Each server's address takes one of a worker's connections.
	rig.Edit(t, b.Nginx.Conf, "worker_connections 512;", "worker_connections 4096;")
	args := b.Nginx.Args("-t")
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	return string(out), err == nil
}

// secure reports whether it takes TLS to see something of the directive.
func (r row) secure() bool {
	return strings.HasPrefix(r.name, "ssl_") || strings.HasPrefix(r.name, "http2")
}

func (b *beside) client(r row) rig.Client {
	c := rig.Client{Addr: rig.Loopback(r.port), Host: "demo.example.org"}
	if r.secure() {
		c.TLS = &tls.Config{InsecureSkipVerify: true}
	}
	return c
}

// saidLine finds the line of nginx.conf that nginx complains about.
var saidLine = regexp.MustCompile(`\[emerg\].* in .*nginx[.]conf:([0-9]+)`)

// rowOf is the row that nginx complains about.
func (b *beside) rowOf(t *testing.T, said string) int {
	t.Helper()
	m := saidLine.FindStringSubmatch(said)
	if m == nil {
		t.Fatalf("nginx says: %s", said)
	}
	n, _ := strconv.Atoi(m[1])
	line := strings.Split(rig.ReadFile(t, b.Nginx.Conf), "\n")[n-1]
	for i, r := range b.rows {
		if at := "listen " + rig.Loopback(r.port); strings.Contains(line, at+";") || strings.Contains(line, at+" ") {
			return i
		}
	}
	t.Fatalf("nginx says: %s", said)
	return 0
}

// dropUnknown leaves out what this nginx doesn't know.
func (b *beside) dropUnknown(t *testing.T) (dropped []string) {
	t.Helper()
	program, err := os.ReadFile(b.Nginx.Binary())
	if err != nil {
		t.Fatal(err)
	}
	b.rows = slices.DeleteFunc(b.rows, func(r row) bool {
		unknown := !bytes.Contains(program, []byte(r.name+"\x00"))
		if unknown {
			dropped = append(dropped, r.name)
		}
		return unknown
	})
	for { // what else of a row is unknown only nginx can say
		said, ok := b.configure(t, false)
		if ok {
			if len(dropped) > len(b.rows) {
				t.Errorf("this nginx knows hardly a directive: %s", b.Nginx.Binary())
			}
			return dropped
		}
		i := b.rowOf(t, said)
		if !strings.Contains(said, "unknown directive") {
			t.Errorf("%s: nginx says: %s", b.rows[i].text, said)
		}
		dropped = append(dropped, b.rows[i].name)
		b.rows = slices.Delete(b.rows, i, i+1)
	}
}

// asked are the requests to the application.
var asked = []rig.Message{
	{Target: "/", Header: []string{"Accept: text/html,application/xhtml+xml", "X-Own: 1"}},
	{Target: "/server/api/x", Header: []string{"Accept: application/json"}},
	{Method: "POST", Target: "/server/graphql", Header: []string{"Content-Type: application/json"}, Body: `{"query":"mutation"}`},
}

// TestBesideTheOperatorsDirectives has the ones that matter most.
func TestBesideTheOperatorsDirectives(t *testing.T) {
	t.Parallel()
	most := []string{
		"limit_req", "limit_conn", "limit_rate", "charset", "add_after_body", "add_before_body", "sub_filter", "expires", "ssi", "userid",
		"add_header_inherit", "error_page", "recursive_error_pages", "add_header", "deny", "auth_basic", "gzip", "types", "root", "dav_methods", "proxy_store",
		"proxy_cache", "proxy_intercept_errors", "proxy_method", "proxy_set_body", "disable_symlinks", "client_max_body_size", "rewrite", "satisfy",
	}
	besideDirectives(t, "", "", slices.DeleteFunc(directives(t), func(r row) bool { return !slices.Contains(most, r.name) || r.group == "named" }))
}

// TestBelowTheOperatorsDirectives has what limits and filters in http {}, all together.
func TestBelowTheOperatorsDirectives(t *testing.T) {
	t.Parallel()
	besideDirectives(t, "", `limit_req zone=requests; limit_conn connections 1; limit_rate 1k; expires 1h; userid on; ssi on; ssi_types *;
        charset utf-16; charset_types *; add_before_body /tail; add_after_body /tail; addition_types *; dav_methods PUT DELETE;
        sub_filter maintenance replaced; sub_filter_types *; error_page 404 502 503 /error.html; add_header X-Own v always;
        auth_basic own; auth_basic_user_file users; deny all; proxy_method POST; proxy_set_body own;`,
		[]row{{group: "own", name: "server_tokens", text: "server_tokens off;"}})
}

// besideDirectives puts each row beside the include, and asks in every mode what it asked without us. program is nginx,
// "" for Debian's; http is what else the operator has in http {}.
func besideDirectives(t *testing.T, program, http string, rows []row) {
	b := newBeside(t, program, http, rows)
	dropped := b.dropUnknown(t)
	if len(dropped) > 0 {
		t.Logf("this nginx doesn't know %s", strings.Join(dropped, ", "))
	}
	until := `{"version":1,"site":"demo"}` + "\n"
	b.StartGate(t)
	admin := "Authorization: Bearer " + rig.AdminToken(b.Blocks[0].Secret)

	before := make([][]rig.Response, len(b.rows))
	b.Nginx.Start(t)
	b.each(t, "without us", func(t *testing.T, i int, r row) {
		for _, m := range asked {
			before[i] = append(before[i], b.client(r).Do(t, m.With(admin)))
		}
	})
	b.Nginx.Stop(t)

	for _, variant := range []struct {
		mode        status.Mode
		shut, files bool
	}{{status.Online, false, true}, {status.Online, true, true}, {status.Offline, true, true}, {status.Offline, true, false}, {status.Admin, false, true}} {
		name := fmt.Sprintf("%s, shut %v, files %v", variant.mode, variant.shut, variant.files)
		text, err := b.rules.Render(variant.mode, "1-00000000")
		if err != nil {
			t.Fatal(err)
		}
		rig.WriteFile(t, b.SiteFile(rig.SingleSite), string(text))
		_ = os.RemoveAll(b.rules.Dir)
		if variant.shut {
			rig.WriteFile(t, b.ClosedFile(), "")
		}
		want := map[string]string{}
		if variant.files {
			for _, file := range []string{nginxconf.StatusFile, nginxconf.UnavailableFile} {
				want[file] = strings.Replace(until, "}", fmt.Sprintf(`,"file":%q}`, file), 1)
				rig.WriteFile(t, filepath.Join(b.rules.Dir, file), want[file])
			}
		}
		if said, ok := b.configure(t, true); !ok {
			t.Fatalf("%s: %s: nginx says: %s", name, b.rows[b.rowOf(t, said)].text, said)
		}
		b.Nginx.Start(t)
		b.each(t, name, func(t *testing.T, i int, r row) {
			c, what := b.client(r), r.text
			ours := func(m rig.Message, code int, header string) rig.Response {
				res := c.Do(t, m)
				for _, name := range []string{"Expires", "Set-Cookie", "X-Own", "Trailer"} {
					if res.Header.Get(name) != "" {
						t.Errorf("%s: our answer to %s %s has a %s: %s", what, m.Method, m.Target, name, res.Header.Get(name))
					}
				}
				if got := res.Header.Values("Cache-Control"); res.Status != code || !slices.Equal(got, []string{header}) {
					t.Errorf("%s: our answer to %s %s is %d, Cache-Control %q, want %d and %q:\n%s", what, m.Method, m.Target, res.Status, got, code, header, res.Stable())
				}
				return res
			}
			isJSON := func(res rig.Response, body string) {
				if res.Header.Get("Content-Type") != "application/json" || !json.Valid([]byte(res.Body)) || body != "" && res.Body != body {
					t.Errorf("%s: our answer is\n%s\nwant %s", what, res.Stable(), body)
				}
			}
			for range 3 { // limits are for the second
				isJSON(ours(rig.Message{Target: nginxconf.StatusPath}, 200, "no-cache"), want[nginxconf.StatusFile])
				isJSON(ours(rig.Message{Target: nginxconf.ProbePath}, 200, "no-store"), "")
			}
			if variant.mode == status.Online && !variant.shut || variant.mode == status.Admin {
				for j, m := range asked {
					m = m.With(admin)
					if r.group == "own" {
						_ = c.Do(t, m)
					} else if now, then := stable(c.Do(t, m)), stable(before[i][j]); now != then {
						t.Errorf("%s: the answer to %s %s is\n%s\nand was, without us,\n%s", what, m.Method, m.Target, now, then)
					}
				}
			}
			if variant.mode == status.Online && !variant.shut {
				return
			}
			if res := ours(asked[0], 302, "no-store"); res.Header.Get("Location") != b.rules.PageURL {
				t.Errorf("%s: a navigation is sent to %q", what, res.Header.Get("Location"))
			}
			for _, m := range asked[1:] {
				isJSON(ours(m, 503, "no-store"), want[nginxconf.UnavailableFile])
			}
			ours(rig.Preflight("/server/graphql", "https://elsewhere.example.org"), 204, "no-store")
		})
		b.Nginx.Stop(t)
	}
}

// TestDoctorNamesDirectivesInTheWay has it say, before anything is closed, which of the operator's directives are in
// the way of that.
func TestDoctorNamesDirectivesInTheWay(t *testing.T) {
	t.Parallel()
	for _, r := range directives(t) {
		if r.group != "named" {
			continue
		}
		s := rig.NewSingle(t)
		s.Server = r.text + " location /mirrored { internal; }"
		s.CLI(t, "render").Want(t, 0)
		s.WriteNginx(t)
		line := 1 + strings.Count(strings.SplitN(rig.ReadFile(t, s.Nginx.Conf), s.Server, 2)[0], "\n")
		said := s.CLI(t, "doctor").Want(t, 5).Stdout
		if !strings.Contains(said, fmt.Sprintf("%s:%d", s.Nginx.Conf, line)) || !strings.Contains(said, "-> ") {
			t.Errorf("%s: the doctor doesn't name it:\n%s", r.text, said)
		}
	}
}

// stable is an answer as text without what differs from second to second.
func stable(r rig.Response) string {
	r.Header.Del("Expires")
	return r.Stable()
}

// each calls do with every row, several at a time.
func (b *beside) each(t *testing.T, name string, do func(*testing.T, int, row)) {
	const atATime = 8
	t.Run(name, func(t *testing.T) {
		for k := range atATime {
			t.Run(strconv.Itoa(k), func(t *testing.T) {
				t.Parallel()
				for i := k; i < len(b.rows); i += atATime {
					t.Run(b.rows[i].name, func(t *testing.T) { do(t, i, b.rows[i]) })
				}
			})
		}
	})
}
