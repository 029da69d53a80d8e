package doctor

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
)

func TestCachedPages(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	const date = "Sun, 22 Nov 2026 12:00:00 GMT"
	html := func(pairs ...string) control.Page {
		p := control.Page{Status: 200, Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}}
		for i := 0; i < len(pairs); i += 2 {
			p.Header.Add(pairs[i], pairs[i+1])
		}
		return p
	}
	for _, c := range []struct {
		name string
		page control.Page
		err  error
		want Level
	}{
		{"as Conforma's container sends it", html("Last-Modified", date, "ETag", `"x"`), nil, Warning},
		{"no-cache", html("Last-Modified", date, "Cache-Control", "no-cache"), nil, OK},
		{"among others", html("Last-Modified", date, "Cache-Control", "private", "Cache-Control", "must-revalidate, No-Cache"), nil, OK},
		{"no-cache of one header", html("Last-Modified", date, "Cache-Control", `no-cache="Set-Cookie"`), nil, Warning},
		{"no-store", html("Cache-Control", "no-store"), nil, OK},
		{"an hour", html("Cache-Control", "public, max-age=3600"), nil, Warning},
		{"no time", html("Last-Modified", date, "Cache-Control", "max-age=0"), nil, OK},
		{"private is kept", html("Last-Modified", date, "Cache-Control", "private"), nil, Warning},
		{"expired", html("Last-Modified", date, "Expires", date), nil, OK},
		{"0 is expired", html("Last-Modified", date, "Expires", "0"), nil, OK},
		{"expires later", html("Expires", "Mon, 30 Nov 2026 12:00:00 GMT"), nil, Warning},
		{"nothing to guess from", html(), nil, OK},
		{"closed", control.Page{Status: 302, Maintenance: "offline"}, nil, OK},
		{"no page", control.Page{Status: 200, Header: http.Header{"Content-Type": {"application/json"}, "Last-Modified": {date}}}, nil, OK},
		{"nobody", control.Page{}, errors.New("refused"), Warning},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &examination{Doctor: Doctor{Now: func() time.Time { return now }, Host: &maintenance.Host{
				FetchPage: func(_ context.Context, _ operator.Target, path, door string) (control.Page, error) {
					if path != "/" || door != "" {
						t.Errorf("asked for %q by %q", path, door)
					}
					return c.page, c.err
				},
			}}}
			e.cachedPages(context.Background(), config.Site{})
			want(t, e, checkCachedPages, c.want)
		})
	}
}

// TestWebSockets: what is said of a settled command holds beside what is said of the site's WebSockets.
func TestWebSockets(t *testing.T) {
	const rules = "/etc/nginx/conforma-status/sites/demo.conf"
	const pass, upgrade = "proxy_pass http://127.0.0.1:8000; ", "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
	conforma := config.Site{Name: "demo", Preset: "conforma"}
	settled := config.Site{Name: "demo", Preset: "conforma", Settled: []string{"true"}}
	for _, c := range []struct {
		name, location string
		site           config.Site
		want           []string // the beginnings of what is said, in order
	}{
		{"not handed on", pass, conforma, []string{"the location at", "there is none. Once nginx hands"}},
		{"handed on", pass + upgrade, conforma, []string{"they are handed on", "the site has WebSockets and no settled command"}},
		{"nginx can't be read", "", conforma, []string{"the site has WebSockets and no settled command"}},
		{"not handed on, and vouched for", pass, settled, []string{"the location at", "the site has a command"}},
		{"of another application", pass + upgrade, config.Site{Name: "demo"}, []string{"the site has WebSockets and no settled command"}},
		{"of none", pass, config.Site{Name: "demo"}, []string{"there is none, and no WebSocket"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var conf *operator.Config
			if c.location != "" {
				var err error
				conf, err = operator.ReadConfig([]byte("# configuration file /etc/nginx/nginx.conf:\nhttp { server { include " + rules +
					"; location / { " + c.location + "} } }\n# configuration file " + rules + ":\n"))
				if err != nil {
					t.Fatal(err)
				}
			}
			e := &examination{Doctor: Doctor{Host: &maintenance.Host{Config: &config.Config{Nginx: config.Nginx{ConfDir: "/etc/nginx/conforma-status"}}}}}
			e.webSockets(c.site, conf)
			if len(e.findings) != len(c.want) {
				t.Fatalf("got %+v, want %q", e.findings, c.want)
			}
			for i, f := range e.findings {
				if !strings.HasPrefix(f.Text, c.want[i]) {
					t.Errorf("it says %q, want %q", f.Text, c.want[i])
				}
			}
		})
	}
}
