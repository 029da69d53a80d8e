// Package nginxconf writes the nginx configuration of a site for each mode, makes nginx take it up, and
// asks nginx what it really serves.
package nginxconf

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"text/template"
	"time"

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

//go:embed http.conf.tmpl
var httpText string

//go:embed site.conf.tmpl
var siteText string

func parse(name, text string) *template.Template {
	return template.Must(template.New(name).Funcs(template.FuncMap{"quote": Quote}).Parse(text))
}

// HTTP renders http.conf, which the operator includes in http {}. It is the same in every mode. It
// returns an error when the gate's socket path has no safe spelling in nginx's configuration (see Quote).
func HTTP(gateSocket string) ([]byte, error) {
	var out bytes.Buffer
	if err := parse("http.conf", httpText).Execute(&out, struct{ Socket string }{gateSocket}); err != nil {
		return nil, fmt.Errorf("render http.conf: %w", err)
	}
	return out.Bytes(), nil
}

// Site is what the rules of one site are made of.
type Site struct {
	Name       string // as in the configuration: letters, digits, - and _
	Dir        string // absolute; holds ClosedFile, StatusFile and UnavailableFile, readable by nginx's workers
	AppURL     string
	PageURL    string // where navigations are sent
	Preset     string // of the login page, "" for none
	LoginPaths []string
}

// Render returns the file that the operator includes first in the site's server {}. The same arguments
// give the same bytes. It returns an error when a value has no safe spelling in nginx's configuration
// (see Quote) or a login path is not one (see CheckLoginPath).
func (s Site) Render(mode status.Mode, revision string) ([]byte, error) {
	open, err := openPatterns(s.Preset, s.LoginPaths)
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", s.Name, err)
	}
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
	data := struct {
		Site
		Mode, Shown         status.Mode
		Revision            string
		Open                []string
		Status, Unavailable string
	}{s, mode, shown, revision, open, string(bytes.TrimSpace(fallback.Marshal())), string(bytes.TrimSpace(Unavailable(shut)))}
	var out bytes.Buffer
	if err := parse("site.conf", siteText).Execute(&out, data); err != nil {
		return nil, fmt.Errorf("render %s: %w", s.Name, err)
	}
	return out.Bytes(), nil
}

// Revision names one rendering of a site's rules: n, which grows with each change on this host, and a
// hash of the rules themselves, so that a host that lost its count can't take old rules for new ones.
func (s Site) Revision(mode status.Mode, n uint64) (string, error) {
	rules, err := s.Render(mode, "")
	if err != nil {
		return "", err
	}
	h := fnv.New32a()
	h.Write(rules)
	return fmt.Sprintf("%d-%08x", n, h.Sum32()), nil
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
