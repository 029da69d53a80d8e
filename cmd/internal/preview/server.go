package preview

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/publishing"
	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/fault"
)

//go:embed files
var files embed.FS

// Below these paths lies what is the preview's own; no site's path starts with a dot.
const (
	own    = "/.preview/"
	ownApp = own + "app/"
)

// state is what the bar above the page has chosen.
type state struct {
	Mode    string `json:"mode"`    // of status, or "unreachable"
	End     string `json:"end"`     // "none", "ahead" or "passed"
	Message string `json:"message"` // "none", "short" or "long"
}

// Preview is the maintenance site as it is built now, with a status of its own.
type Preview struct {
	config *config.Config
	now    func() time.Time
	built  string // the fingerprint of the content that was built last

	mu        sync.Mutex
	files     map[string]site.File
	wrong     string // why files are not of the content as it is now, "" when they are
	remarks   fault.List
	languages map[string][]string // by site
	state     state
	seq       uint64
	changed   chan struct{} // closed with each build
}

// New returns a preview that is served at base, without a slash at its end. The sites' applications are at addresses
// that it answers itself: nothing leaves this machine.
func New(c *config.Config, base string, now func() time.Time) *Preview {
	copied := *c
	copied.Sites = slices.Clone(c.Sites)
	for i := range copied.Sites {
		s := &copied.Sites[i]
		s.AppURL = base + ownApp + s.Name
		s.PageURL = strings.TrimSuffix(base+"/"+s.Path, "/") + "/"
	}
	return &Preview{
		config: &copied, now: now, built: fingerprint(c.Content), seq: 1, changed: make(chan struct{}),
		state: state{Mode: string(status.Offline), End: "ahead", Message: "none"},
	}
}

// Build builds the site anew, and returns the remarks for its authors. If it fails, what was there before stays; the
// error is that of publishing.Build.
func (p *Preview) Build() (fault.List, error) {
	all, remarks, err := publishing.Build(p.config)
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.changed)
	p.changed = make(chan struct{})
	if err != nil {
		p.wrong, p.remarks = err.Error(), nil
		return nil, err
	}
	p.wrong, p.remarks = "", remarks
	p.files, p.languages = map[string]site.File{}, map[string][]string{}
	for _, s := range all {
		p.languages[s.Site.Name] = s.Languages
		for _, f := range s.Files {
			p.files[f.Key] = f
		}
	}
	return remarks, nil
}

func (p *Preview) handler() http.Handler {
	mux := http.NewServeMux()
	bar, err := fs.Sub(files, "files")
	if err != nil {
		panic(err) // it is embedded
	}
	mux.Handle("GET "+own, http.StripPrefix(own, http.FileServerFS(bar)))
	mux.HandleFunc("GET "+own+"sites", p.listSites)
	mux.HandleFunc("GET "+own+"events", p.events)
	mux.HandleFunc("PUT "+own+"status", p.choose)
	mux.HandleFunc("GET "+ownApp, p.application)
	mux.HandleFunc("GET /.conforma-status/status.json", func(w http.ResponseWriter, _ *http.Request) { p.status(w, p.config.Sites[0]) })
	mux.HandleFunc("GET /", p.page)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A name that somebody has made resolve to this machine is not answered for.
		host, _, err := net.SplitHostPort(r.Host)
		if ip := net.ParseIP(host); err != nil || host != "localhost" && ip == nil {
			http.Error(w, "misdirected request", http.StatusMisdirectedRequest)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

// listed is what the bar lists.
type listed struct {
	Name      string   `json:"name"`
	Path      string   `json:"path"`
	Languages []string `json:"languages"` // the main page's first
}

func (p *Preview) listSites(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := []listed{}
	for _, s := range p.config.Sites {
		out = append(out, listed{s.Name, s.Path, append([]string{}, p.languages[s.Name]...)})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out) // the browser may have gone
}

// events tells of each build what is wrong with it.
func (p *Preview) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		p.mu.Lock()
		changed, said := p.changed, []string{p.wrong}
		if len(p.remarks) > 0 {
			said = append(said, p.remarks.Error())
		}
		p.mu.Unlock()
		data, _ := json.Marshal(said) // strings
		if _, err := fmt.Fprintf(w, "data: %s\n\n", data); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// choose takes what the bar has chosen. Another site's page can't send it: a PUT from elsewhere asks first, in vain.
func (p *Preview) choose(w http.ResponseWriter, r *http.Request) {
	var s state
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&s); err != nil || !s.valid() {
		http.Error(w, "not a state", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = s
	p.seq++
	w.WriteHeader(http.StatusNoContent)
}

func (s state) valid() bool {
	return (s.Mode == unreachable || slices.Contains(status.Modes(), status.Mode(s.Mode))) &&
		slices.Contains([]string{"none", "ahead", "passed"}, s.End) && slices.Contains([]string{"none", "short", "long"}, s.Message)
}

// unreachable stands for a status that can't be had.
const unreachable = "unreachable"

// status is the document that goes with what the bar has chosen.
func (p *Preview) status(w http.ResponseWriter, s config.Site) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.Header().Set("Access-Control-Allow-Origin", "*")
	if p.state.Mode == unreachable {
		http.Error(w, "the status is unreachable", http.StatusServiceUnavailable)
		return
	}
	now := p.now().UTC().Truncate(time.Second)
	d := status.Document{
		Version: status.Version, Site: s.Name, Mode: status.Mode(p.state.Mode), Seq: p.seq, Since: now.Add(-40 * time.Minute),
		AppURL: s.AppURL, PageURL: s.PageURL, UpdatedAt: now,
	}
	if d.Mode.Closed() {
		if until := now.Add(25 * time.Minute); p.state.End == "ahead" {
			d.ExpectedUntil = &until
		}
		if until := now.Add(-12 * time.Minute); p.state.End == "passed" {
			d.ExpectedUntil = &until
		}
		if text, ok := map[string]string{"short": shortMessage, "long": longMessage}[p.state.Message]; ok {
			d.Message = &text
		}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(d.Marshal()) // the browser may have gone
}

// application stands in for the site: where a visitor is led back to.
func (p *Preview) application(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintf(w, hereIsTheSite, strings.TrimPrefix(r.URL.Path, ownApp))
}

// page is a file of the maintenance site as it would be published, or the bar with the page below it.
func (p *Preview) page(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	for _, s := range p.config.Sites {
		if key == path.Join(s.Path, status.FileName) {
			p.status(w, s)
			return
		}
	}
	p.mu.Lock()
	f, ok := p.files[key]
	if !ok {
		f, ok = p.files[path.Join(key, "index.html")]
	}
	p.mu.Unlock()
	// The bar has the page in a frame; who goes there by hand gets the bar.
	if dest := r.Header.Get("Sec-Fetch-Dest"); dest == "document" && (ok && path.Base(f.Key) == "index.html" || key == "") || key == "" && !ok {
		http.ServeFileFS(w, r, files, "files/bar.html")
		return
	}
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", f.ContentType)
	_, _ = w.Write(f.Data)
}
