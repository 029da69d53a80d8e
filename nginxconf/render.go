// Package nginxconf renders the nginx rules of a site for each mode, and puts them in place.
package nginxconf

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
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
	pageDir         = "page"          // a directory, with copies of the page
	// ToldOpenFile exists while visitors are told that the site is open. If it is shut all the same, HealthPath says so.
	ToldOpenFile = "told-open"
)

// Paths below which nginx answers for conforma-status.
const (
	StatusPath = "/.conforma-status/status.json"
	ProbePath  = "/.conforma-status/probe"
	WorkerPath = "/.conforma-status/sw.js"
	HealthPath = "/.conforma-status/health" // for load balancers, in every mode
	EnterPath  = gate.PassPath              // in admin mode: lets in by a pass, or by the token that an open tab has
)

// Shared is what http.conf, which all sites share, is made of.
type Shared struct {
	GateSocket string // absolute path
	// Allowed are the addresses that each site lets in while it is in admin mode, by its name; may be nil.
	Allowed map[string][]netip.Prefix
	Modules []string // see Site.Modules
	// ShowsPage is whether a site has its Site.ShowsPage.
	ShowsPage bool
}

// HTTP renders http.conf, which the operator includes in http {}. It is the same in every mode. It returns an error
// when the path has no safe spelling in nginx's configuration (see Quote).
func HTTP(s Shared) ([]byte, error) {
	var v values
	v.plain("ZONES", zones(s.Modules))
	v.quoted("SOCKET", "unix:"+s.GateSocket)
	v.plain("COOKIES", gate.CookieName(""))
	v.plain("ALLOWED", allowedLines(s.Allowed))
	v.plain("LANGUAGES", ruleIf(s.ShowsPage, "languages"))
	return v.fill(rule("http"))
}

// NamesLanguage reports whether rules, or http.conf, name what http.conf defines for Shared.ShowsPage only.
func NamesLanguage(rules []byte) bool { return bytes.Contains(rules, []byte("$conforma_language")) }

// Site is what the rules of one site are made of.
type Site struct {
	Name       string // as in the configuration: letters, digits, - and _
	Dir        string // absolute; holds ClosedFile, StatusFile and UnavailableFile, readable by nginx's workers
	AppURL     string
	PageURL    string // where navigations are sent
	Preset     string // of the login page, "" for none
	LoginPaths []string
	// Allows is whether HTTP was told of addresses that the site lets in while it is in admin mode.
	Allows bool
	// Door is a word that lets a request of this machine through while the closed file is there, when it stands
	// in the header X-Conforma-Door: letters and digits, "" for no door.
	Door string
	// Modules are those of nginx that the rules may name, see KnownModules; may be empty. Rules for one that has less
	// are refused by nginx; where it has more, what the operator says by it reaches our answers.
	Modules []string
	// ShowsPage has nginx answer a navigation with the page itself, as a 503 at the address that was asked for, from
	// the copies in pageDir (see PageFile). Until there is a copy, and where it is false, nginx redirects to PageURL.
	ShowsPage bool
	// Worker is the script that nginx serves at WorkerPath, a service worker whose scope may be all of the site: one line.
	Worker string
	// Stored is where a machine that answers for the host finds the status; nil on the host itself.
	Stored *Stored
	// Window names this window of admin mode if several hosts share it: an admission cookie of one host is then good on
	// all. It has the form of a revision; "" stands for the revision itself.
	Window string
}

// MainPage is the name of the copy for those whose languages there is no page in.
const MainPage = "index"

// PageFile is the copy of the page in a language, below Site.Dir. The name is a language tag or MainPage.
func PageFile(name string) string { return pageDir + "/" + name + ".html" }

// DoorHeader is the header in which the word of Site.Door stands.
const DoorHeader = "X-Conforma-Door"

// Render returns the file that the operator includes first in the site's server {}. The same arguments
// give the same bytes. It returns an error where Check does. Each mode has a file of its name in rules/; without one
// Render panics.
func (s Site) Render(mode status.Mode, revision string) ([]byte, error) {
	text := rule("head") + rule(string(mode)) + rule("answers") + ruleIf(mode == status.Admin, "gate")
	text = strings.NewReplacer("{STATUS_LOCATION}", s.statusLocation()).Replace(text)
	text = strings.NewReplacer(s.pageParts()...).Replace(text)
	text = strings.NewReplacer(s.parts(mode)...).Replace(text)
	v := s.values(mode)
	v.plain("REVISION", revision)
	v.plain("WINDOW", cmp.Or(s.Window, revision))
	out, err := v.fill(text)
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", s.Name, err)
	}
	return out, nil
}

// pageParts are what differs where the page itself is shown. They hold words of parts.
func (s Site) pageParts() []string {
	if s.ShowsPage {
		return []string{"{TO_PAGE}", rule("topage"), "{PAGE}", rule("page"), "{PAGE_BODY}", rule("pageguard"), "{NAV}", "/.conforma-status/page"}
	}
	return []string{"{TO_PAGE}", rule("redirect"), "{PAGE}", "", "{PAGE_BODY}", "", "{NAV}", "/.conforma-status/nav"}
}

// parts are what several locations share, and what stands there for a door only, each after its word in braces.
// They hold words of their own.
func (s Site) parts(mode status.Mode) []string {
	line := func(name string) string { return strings.TrimSuffix(rule(name), "\n") }
	// A client that sends all of its body before it reads gets its answer then. If nginx didn't read the body to its
	// end, a reset would lose the answer. What online has to say is for the moment before a reload, whose drain would
	// wait for that.
	patient := ruleIf(mode != status.Online, "patient")
	parts := []string{
		"{EARLY}", strings.Join(EarlyErrors, " "), "{PATIENT}", patient, "{UNDO}", undo(s.Modules), "{ALLOW}", ruleIf(s.Allows, "allow"),
		"{ASKED}", ruleIf(mode == status.Offline, "asked"),
		"{FILES}", patient + undo(s.Modules) + line("files"), "{UNAVAILABLE_HEADERS}", line("unavailable"), "{STATUS_HEADERS}", line("status"),
	}
	if s.Door == "" {
		return append(parts, "{KNOCK}", "", "{KNOCKING}", "", "{DOOR}", "")
	}
	// Behind the closed file only, so that an open site doesn't pay for it.
	door := strings.ReplaceAll(rule("door"), "{WORD}", s.Door)
	return append(parts, "{KNOCK}", rule("knock"), "{KNOCKING}", line("knocking")+" ", "{DOOR}", door)
}

// Check returns an error when a value has no safe spelling in nginx's configuration (see Quote), alone or together
// with others, or a login path is not one (see CheckLoginPath).
func (s Site) Check() error {
	v := &values{}
	_, v.err = openRequests(s.Preset, s.LoginPaths)
	s.addTexts(v, status.Online)
	return v.err
}

// shownMode is what rules of a mode say that the site is: those of online answer only while the closed file is there.
func shownMode(mode status.Mode) status.Mode {
	if mode == status.Online {
		return status.Offline
	}
	return mode
}

// values are what is put into the rules of a mode.
func (s Site) values(mode status.Mode) *values {
	v := &values{}
	open, err := openRequests(s.Preset, s.LoginPaths)
	v.err = err
	v.plain("NAME", s.Name)
	v.plain("MODE", string(mode))
	v.plain("SHOWN", string(shownMode(mode)))
	v.plain("SHUT", shutAlready(mode))
	v.plain("NAVIGATION", s.navigation(mode, open))
	v.plain("OPEN", openLines(open))
	s.addTexts(v, mode)
	return v
}

// addTexts adds what is quoted in the rules of a mode.
func (s Site) addTexts(v *values, mode status.Mode) {
	// What nginx says should the files be missing or unreadable: true of these rules, with no times.
	fallback := status.Document{
		Version: status.Version, Site: s.Name, Mode: mode, Since: time.Unix(0, 0), UpdatedAt: time.Unix(0, 0),
		AppURL: s.AppURL, PageURL: s.PageURL,
	}
	shut := fallback
	shut.Mode = shownMode(mode)
	v.quoted("TOLD_OPEN", s.Dir+"/"+ToldOpenFile)
	v.quoted("DIR", s.Dir)
	v.quoted("MAIN_PAGE", s.Dir+"/"+PageFile(MainPage))
	v.quoted("CLOSED", s.Dir+"/"+ClosedFile)
	v.quoted("PAGE_URL", s.PageURL)
	v.quoted("WORKER", s.Worker)
	s.Stored.addTo(v)
	v.quoted("STATUS", string(bytes.TrimSpace(fallback.Marshal())))
	v.quoted("UNAVAILABLE", string(bytes.TrimSpace(Unavailable(shut))))
}

// shutAlready is what a site is to HealthPath without its closed file: the rules of offline do without it.
func shutAlready(mode status.Mode) string {
	if mode == status.Offline {
		return "shut"
	}
	return "open"
}

// navigation are the rules by which a browser's navigation gets its answer at once, in a mode whose rules have a
// {NAVIGATION}: those of online have none.
func (s Site) navigation(mode status.Mode, open []open) string {
	if mode == status.Offline {
		return navigationLines(nil, "")
	}
	brought := "$http_authorization$http_cookie"
	if s.Allows {
		brought += "$conforma_allowed"
	}
	if s.Door != "" { // who knocks is let in
		brought += "$http_x_conforma_door"
	}
	return navigationLines(open, brought)
}

// EarlyErrors are the errors that nginx may answer before it comes to the rules of a server. An error_page that leads
// one of them to a named location leads past the rules: only a named location doesn't begin with the server's rules
// again (ngx_http_named_location).
var EarlyErrors = []string{"400", "405", "408", "411", "413", "414", "421", "494", "495", "496", "500", "501", "505"}
