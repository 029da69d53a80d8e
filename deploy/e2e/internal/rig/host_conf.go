package rig

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
)

// optionsSSL is what certbot puts beside the certificates.
const optionsSSL = `ssl_session_cache shared:le_nginx_SSL:1m;
ssl_session_timeout 1440m;
ssl_protocols TLSv1.2 TLSv1.3;
ssl_prefer_server_ciphers off;
`

// httpConf is the content of the http block.
func (h *Host) httpConf(includes bool) string {
	conf := `    types { text/html html; text/css css; text/javascript js; application/json json; }
    default_type application/octet-stream;
    sendfile on;
    gzip on;
    map $http_upgrade $connection_upgrade { default upgrade; '' close; }
`
	if includes {
		conf += fmt.Sprintf("    include %s/http.conf;\n", h.ConfDir)
	}
	return conf + "    include sites-enabled/*.conf;\n"
}

// serversConf is the one file with all six server blocks.
func (h *Host) serversConf(tb testing.TB, includes bool) string {
	tb.Helper()
	var b strings.Builder
	for _, block := range h.Blocks {
		if block.Style == conformaStyle {
			continue // in a file of its own
		}
		err := servers.ExecuteTemplate(&b, "server", map[string]any{
			"Host": h, "Block": block, "Hostname": Hostname,
			"Include": includes && block.Site, "Cert": h.cert,
		})
		if err != nil {
			tb.Fatalf("rig: write the host's nginx configuration: %v", err)
		}
	}
	return b.String()
}

// servers has the server block that certbot leaves behind and, by the block's style, the locations that people have
// written into it. As in Conforma's own file, the one of the style host-header has no name: its address stands in its
// error_page alone.
var servers = template.Must(template.New("").Parse(`
{{define "server"}}
server {
{{- if .Include}}
    include {{.Host.ConfDir}}/sites/{{.Block.Name}}.conf;
{{- end}}
{{- if ne .Block.Style "host-header"}}
    server_name {{.Hostname}};
{{- end}}
    error_page 497 301 =307 https://{{.Hostname}}:{{.Block.Port}}$request_uri;
    gzip_types text/plain text/css application/json text/javascript application/javascript;
    client_max_body_size 1000M;

{{if eq .Block.Style "plain"}}{{template "plain" .}}{{end -}}
{{if eq .Block.Style "host-header"}}{{template "host-header" .}}{{end -}}
{{if eq .Block.Style "forwarded"}}{{template "forwarded" .}}{{end -}}
{{if eq .Block.Style "container"}}{{template "container" .}}{{end -}}
{{if eq .Block.Style "grafana"}}{{template "grafana" .}}{{end}}
    listen 127.0.0.1:{{.Block.Port}} ssl http2; # managed by Certbot
    ssl_certificate {{.Cert.Fullchain}}; # managed by Certbot
    ssl_certificate_key {{.Cert.Privkey}}; # managed by Certbot
    include {{.Host.Nginx.Dir}}/letsencrypt/options-ssl-nginx.conf; # managed by Certbot
}
{{end}}

{{define "plain"}}    location / {
        proxy_pass http://127.0.0.1:{{.Block.App.Port}}/;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
    }
{{end}}

{{define "host-header"}}    location / {
        proxy_pass http://127.0.0.1:{{.Block.App.Port}}/;
        proxy_set_header Host $http_host;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
    }
{{end}}

{{define "forwarded"}}    location / {
        proxy_pass http://127.0.0.1:{{.Block.App.Port}};
        proxy_http_version 1.1;
        proxy_set_header Host $host;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
    }
{{end}}

{{define "container"}}    location /server/ {
        proxy_pass http://127.0.0.1:{{.Block.App.Port}}/server/;
        proxy_read_timeout 3600s;
    }
    location /websocket/ {
        proxy_pass http://127.0.0.1:{{.Block.App.Port}}/websocket/;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
    }
    location / {
        root {{.Host.Nginx.Dir}}/www/stack;
        try_files $uri /index.html;
    }
{{end}}

{{define "grafana"}}    location / {
        proxy_pass http://127.0.0.1:{{.Block.App.Port}};
        proxy_set_header Host $http_host;
    }
{{end}}
`))

// configTOML is config.toml for the sites among the blocks.
func (h *Host) configTOML() string {
	var b strings.Builder
	quoteAll := func(args []string) string {
		quoted := make([]string, len(args))
		for i, a := range args {
			quoted[i] = fmt.Sprintf("%q", a)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	fmt.Fprintf(&b, `store     = "dir:%s"
page_url  = %q
state_dir = %q

[nginx]
conf_dir = %q
test     = %s
reload   = %s
pid_file = %q

[gate]
socket = %q
`, h.Store, h.PageURL, h.State, h.ConfDir, quoteAll(h.Nginx.Args("-t")), quoteAll(h.Nginx.Args("-s", "reload")),
		h.Nginx.PIDFile(), h.Socket())
	for _, block := range h.Blocks {
		if !block.Site {
			continue
		}
		fmt.Fprintf(&b, `
[[site]]
name      = %q
app_url   = %q
listen    = %q
upstreams = [%q]
preset    = "conforma"
grace     = "0s"

[site.jwt]
secret_env_file = %q
`, block.Name, block.Origin(), Loopback(block.Port), Loopback(block.App.Port), h.EnvFile(block.Name))
	}
	return b.String()
}

// SiteFile returns the path of the rendered file of a site.
func (h *Host) SiteFile(site string) string { return filepath.Join(h.ConfDir, "sites", site+".conf") }
