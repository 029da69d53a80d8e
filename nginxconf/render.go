// Package nginxconf renders the nginx rules of a site for each mode, and puts them in place.
package nginxconf

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
	"github.com/msupply-foundation/conforma-status/status"
)

// Names of the files in a site's directory (Site.Dir) that nginx reads at each request.
const (
	ClosedFile      = "closed"        // while it exists the site is shut
	StatusFile      = status.FileName // served at /.conforma-status/status.json
	UnavailableFile = "503.json"      // the body of a 503
)

// Paths below which nginx answers for conforma-status.
const (
	StatusPath = "/.conforma-status/status.json"
	ProbePath  = "/.conforma-status/probe"
)

// The rules, with words in braces where values go. Plain replacement, because a template package would keep
// the linker from dropping the unused operations of the S3 client: a third of the binary.
//
//go:embed rules
var rules embed.FS

func rule(name string) string {
	text, err := rules.ReadFile("rules/" + name + ".conf")
	if err != nil {
		panic("nginxconf: " + err.Error())
	}
	return string(text)
}

// Lines that several locations share.
const (
	fileLines = `  client_max_body_size 0;
  error_page 418 /.conforma-status/none;
  auth_request off;
  auth_basic off;
  allow all;
  root {DIR};
  types { }`
	unavailableLines = `  default_type application/json;
  add_header Retry-After 60 always;
  add_header Cache-Control no-store always;
  add_header X-Conforma-Status {SHOWN} always;
  add_header Access-Control-Allow-Origin $http_origin always;
  add_header Access-Control-Allow-Credentials true always;
  add_header Access-Control-Expose-Headers "Retry-After, X-Conforma-Status" always;
  add_header Vary Origin always;`
	statusLines = `  default_type application/json;
  add_header Cache-Control no-cache always;
  add_header Access-Control-Allow-Origin * always;`
)

// A door for this machine alone, to try the application before it is open to anyone. Behind the closed file only, so that an
// open site doesn't pay for it.
const (
	knockLine    = "set $conforma_knock \"\";\n"
	knockingLine = "set $conforma_knock \"$http_x_conforma_door|$remote_addr|$server_addr|$http_x_forwarded_for$http_x_real_ip$http_forwarded$proxy_protocol_addr\"; "
	doorLines    = "if ($conforma_knock ~ \"^%s[|](127[.][0-9.]+[|][^|]*|::1[|][^|]*|([^|]+)[|]\\2)[|]$\") { set $conforma_shut \"\"; set $conforma_gate pass; }\n"
)

// values collects what is put in place of the words in braces, each in nginx's quotes.
type values struct {
	pairs []string
	err   error
}

func (v *values) quoted(word, value string) {
	text, err := Quote(value)
	if err != nil {
		v.err = errors.Join(v.err, fmt.Errorf("write %q into nginx's configuration: %w", value, err))
	}
	v.plain(word, text)
}

func (v *values) plain(word, text string) { v.pairs = append(v.pairs, "{"+word+"}", text) }

// fill replaces in one pass: what a value holds is not looked at again.
func (v *values) fill(text string) ([]byte, error) {
	if v.err != nil {
		return nil, v.err
	}
	return []byte(strings.NewReplacer(v.pairs...).Replace(text)), nil
}

// HTTP renders http.conf, which the operator includes in http {}. It is the same in every mode. It returns an error when
// the path has no safe spelling in nginx's configuration (see Quote).
func HTTP(gateSocket string) ([]byte, error) {
	var v values
	v.quoted("SOCKET", "unix:"+gateSocket)
	v.plain("COOKIES", gate.CookieName(""))
	return v.fill(rule("http"))
}

// Site is what the rules of one site are made of.
type Site struct {
	Name       string // as in the configuration: letters, digits, - and _
	Dir        string // absolute; holds ClosedFile, StatusFile and UnavailableFile, readable by nginx's workers
	AppURL     string
	PageURL    string // where navigations are sent
	Preset     string // of the login page, "" for none
	LoginPaths []string
	// Door is a word that lets a request of this machine through while the closed file is there, when it stands
	// in the header X-Conforma-Door: letters and digits, "" for no door.
	Door string
}

// DoorHeader is the header in which the word of Site.Door stands.
const DoorHeader = "X-Conforma-Door"

// Render returns the file that the operator includes first in the site's server {}. The same arguments
// give the same bytes. It returns an error where Check does.
func (s Site) Render(mode status.Mode, revision string) ([]byte, error) {
	text := rule("head") + rule(string(mode)) + rule("answers")
	if mode == status.Admin {
		text += rule("gate")
	}
	knock, knocking, door := "", "", ""
	if s.Door != "" {
		knock, knocking, door = knockLine, knockingLine, fmt.Sprintf(doorLines, s.Door)
	}
	text = strings.NewReplacer("{KNOCK}", knock, "{KNOCKING}", knocking, "{DOOR}", door, "{EARLY}", strings.Join(EarlyErrors, " "), "{FILES}", fileLines, "{UNAVAILABLE_HEADERS}", unavailableLines, "{STATUS_HEADERS}", statusLines).Replace(text)
	v := s.values(mode)
	v.plain("REVISION", revision)
	out, err := v.fill(text)
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", s.Name, err)
	}
	return out, nil
}

// Check returns an error when a value has no safe spelling in nginx's configuration (see Quote), alone or together with others,
// or a login path is not one (see CheckLoginPath).
func (s Site) Check() error { return s.values(status.Online).err }

// values are what is put into the rules of a mode.
func (s Site) values(mode status.Mode) *values {
	shown := mode
	if mode == status.Online { // these rules answer only while the closed file is there
		shown = status.Offline
	}
	// What nginx says should the files be missing or unreadable: true of these rules, with no times.
	fallback := status.Document{
		Version: status.Version, Site: s.Name, Mode: mode, Since: time.Unix(0, 0), UpdatedAt: time.Unix(0, 0),
		AppURL: s.AppURL, PageURL: s.PageURL,
	}
	shut := fallback
	shut.Mode = shown
	v := &values{}
	open, err := openRequests(s.Preset, s.LoginPaths)
	v.err = err
	v.plain("NAME", s.Name)
	v.plain("MODE", string(mode))
	v.plain("SHOWN", string(shown))
	switch {
	case mode == status.Offline:
		v.plain("NAVIGATION", navigationLines(nil, ""))
	case s.Door != "": // who knocks is let in
		v.plain("NAVIGATION", navigationLines(open, "$http_authorization$http_cookie$http_x_conforma_door"))
	default:
		v.plain("NAVIGATION", navigationLines(open, "$http_authorization$http_cookie"))
	}
	v.plain("OPEN", openLines(open))
	v.quoted("DIR", s.Dir)
	v.quoted("CLOSED", s.Dir+"/"+ClosedFile)
	v.quoted("PAGE_URL", s.PageURL)
	v.quoted("STATUS", string(bytes.TrimSpace(fallback.Marshal())))
	v.quoted("UNAVAILABLE", string(bytes.TrimSpace(Unavailable(shut))))
	return v
}

// EarlyErrors are what nginx may answer before it comes to the rules of a server: an error_page that leads such an answer to a named
// location leads past them, since only that doesn't begin again with the server's rules (ngx_http_named_location).
var EarlyErrors = []string{"400", "405", "408", "411", "413", "414", "421", "494", "495", "496", "500", "501", "505"}

// openLines are the rules that let requests through without a token; patterns hold no quote and no backslash.
func openLines(requests []open) string {
	var b strings.Builder
	for _, r := range requests {
		fmt.Fprintf(&b, "if ($conforma_line ~ \"%s\") { set $conforma_gate pass; }\n", r.requests)
	}
	return b.String()
}

// navigationLines are the rules that send a browser's navigation to the page at once, if it brought nothing in the variables that could
// let it in. They let nothing through, and leave to the rules that follow whatever could be open. "" where that is too much for one
// parameter.
func navigationLines(requests []open, brought string) string {
	pattern := "^/(?![.]"
	for _, r := range requests {
		pattern += "|" + r.begins
	}
	pattern += ")"
	if len(pattern) > maxParameter {
		return ""
	}
	return strings.NewReplacer("{BROUGHT}", brought, "{SHUT}", pattern).Replace(rule("navigation"))
}

// Unavailable returns the body of the 503 that requests of a closed site get, as JSON ending in a
// newline. Its last key is what a GraphQL client reads (GraphQL over HTTP: errors in a response).
func Unavailable(d status.Document) []byte {
	type extensions struct {
		Code string `json:"code"`
	}
	type graphQLError struct {
		Message    string     `json:"message"`
		Extensions extensions `json:"extensions"`
	}
	var until *string
	if d.ExpectedUntil != nil {
		text := d.ExpectedUntil.UTC().Format(time.RFC3339)
		until = &text
	}
	out, err := json.Marshal(struct {
		Error         string         `json:"error"`
		Mode          status.Mode    `json:"mode"`
		ExpectedUntil *string        `json:"expectedUntil"`
		PageURL       string         `json:"pageUrl"`
		Errors        []graphQLError `json:"errors"`
	}{"maintenance", d.Mode, until, d.PageURL, []graphQLError{{"maintenance", extensions{"MAINTENANCE"}}}})
	if err != nil { // strings only
		panic("nginxconf: marshal the body of the 503: " + err.Error())
	}
	return append(out, '\n')
}
