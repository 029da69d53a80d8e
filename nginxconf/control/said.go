package control

import (
	"bytes"
	"strings"

	"github.com/msupply-foundation/conforma-status/nginxconf"
)

// words are what nginx says in a case that we do something about (ngx_conf_file.c, ngx_http_variables.c). No other
// file looks for them.
type words string

func (w words) Error() string { return string(w) }

// What nginx may say of its configuration. The errors of Nginx.Test and Nginx.Dump wrap these, beside ErrRefused,
// where it did.
var (
	// ErrDuplicate: a server {} has a directive of its own that stands in our rules too.
	ErrDuplicate error = words(`directive is duplicate`)
	// ErrOpenFileCache: that directive is open_file_cache; ErrDuplicate is wrapped too.
	ErrOpenFileCache error = words(`"open_file_cache" directive is duplicate`)
	// ErrNoHTTPConf: a site's rules are included, and http.conf, which makes their variables, isn't.
	ErrNoHTTPConf error = words(`unknown "conforma_`)
	// ErrDenied: this user may not read one of nginx's files: strerror(EACCES), which Go spells with a small p.
	ErrDenied error = words(`Permission denied`)
)

const (
	saysNoCertificate = "No required SSL certificate was sent" // on the page of its status 496
	saysVersion       = "nginx version: "
	saysArguments     = "configure arguments:"
	saysAuthRequest   = "--with-http_auth_request_module"
)

// refusal is what a command said when it failed.
type refusal string

func (r refusal) Error() string { return string(r) }

// Is has errors.Is find the words in what was said.
func (r refusal) Is(target error) bool {
	w, ok := target.(words)
	return ok && strings.Contains(string(r), string(w))
}

// readBuild reads what nginx -V printed.
func readBuild(out []byte) Build {
	var b Build
	for line := range bytes.Lines(out) {
		if _, rest, ok := bytes.Cut(line, []byte(saysVersion)); ok {
			words := strings.Fields(string(rest))
			if len(words) > 0 {
				_, b.Version, _ = strings.Cut(words[0], "/")
			}
		}
	}
	if _, arguments, ok := bytes.Cut(out, []byte(saysArguments)); ok {
		b.Modules = nginxconf.KnownModules(b.Version, string(arguments))
	}
	b.AuthRequest = bytes.Contains(out, []byte(saysAuthRequest))
	return b
}
