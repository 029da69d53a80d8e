package rig

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// ConformaServer is one of the servers in nginx's file of Conforma's demo server.
type ConformaServer struct {
	Port, App int
	Include   string // path of what the operator includes; "" for none
}

// ConformaServers is that file, below a directory as certbot has it: servers without a name, each by IPv6 first, none
// of which hands WebSockets on. Their name is where they lead plain HTTP to TLS, and nowhere else.
func ConformaServers(letsencrypt, hostname string, servers []ConformaServer) string {
	var b strings.Builder
	for i, s := range servers {
		include, host := "", ""
		if s.Include != "" {
			include = "    include " + s.Include + ";\n"
		}
		if i%2 == 1 {
			host = "\n     proxy_set_header Host $http_host;"
		}
		fmt.Fprintf(&b, `server {
%[5]s    gzip_types text/plain application/xml text/css application/javascript;

    listen [::]:%[1]d ssl ipv6only=on; # managed by Certbot
    listen %[1]d ssl; # managed by Certbot
    ssl_certificate %[6]s/live/%[3]s/fullchain.pem; # managed by Certbot
    ssl_certificate_key %[6]s/live/%[3]s/privkey.pem; # managed by Certbot
    include %[6]s/options-ssl-nginx.conf; # managed by Certbot

    error_page 497 301 =307 https://%[3]s:%[1]d$request_uri;

	location / {
     proxy_pass http://127.0.0.1:%[2]d/;%[4]s
	}
}

`, s.Port, s.App, hostname, host, include, letsencrypt)
	}
	return b.String()
}

// tenConforma are ten of them: the first leads to the block's application, the others to where nobody is.
func tenConforma(tb testing.TB, first *Block, include string) []ConformaServer {
	tb.Helper()
	servers := []ConformaServer{{first.Port, first.App.Port, include}}
	for range 9 {
		servers = append(servers, ConformaServer{Port: Port(tb), App: Port(tb)})
	}
	return servers
}

// AddConforma adds Conforma's own file to a host that isn't installed yet, with a site "conforma" as the first server.
func (h *Host) AddConforma(tb testing.TB) {
	tb.Helper()
	b := newBlock(tb, h, Block{Name: "conforma", Site: true, Style: conformaStyle})
	h.Blocks = append(h.Blocks, b)
	h.conforma = tenConforma(tb, b, h.SiteFile(b.Name))
	WriteFile(tb, h.Config, h.configTOML())
	h.WriteNginx(tb, false)
}

// conformaStyle is that of a block that is in Conforma's own file.
const conformaStyle = "conforma"

func (h *Host) conformaConf(includes bool) string {
	servers := append([]ConformaServer(nil), h.conforma...)
	if !includes {
		servers[0].Include = ""
	}
	return ConformaServers(h.letsencrypt(), Hostname, servers)
}

func (h *Host) letsencrypt() string { return filepath.Join(h.Nginx.Dir, "letsencrypt") }

// InConforma has the site served by the first server of Conforma's own file, over TLS. For one that isn't installed
// yet.
func (s *Single) InConforma(tb testing.TB) {
	tb.Helper()
	b := s.Blocks[0]
	s.cert = NewCertificate(tb, filepath.Join(s.letsencrypt(), "live", Hostname), Hostname)
	s.conforma = tenConforma(tb, b, s.SiteFile(b.Name))
	s.URL = "https://" + Loopback(b.Port)
	s.Configure(tb, Settings{})
}
