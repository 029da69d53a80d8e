package main

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
	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/fault"
)

//go:embed preview
var previewFiles embed.FS

// Below these paths lies what is the preview's own; no site's path starts with a dot.
const (
	previewOwn = "/.preview/"
	previewApp = previewOwn + "app/"
)

// previewState is what the bar above the page has chosen.
type previewState struct {
	Mode    string `json:"mode"`    // of status, or "unreachable"
	End     string `json:"end"`     // "none", "ahead" or "passed"
	Message string `json:"message"` // "none", "short" or "long"
}

// preview is the maintenance site as it is built now, with a status of its own.
type preview struct {
	config *config.Config
	base   string // where it is served, without a slash at the end
	now    func() time.Time

	mu        sync.Mutex
	files     map[string]site.File
	wrong     string // why files are not of the content as it is now, "" when they are
	remarks   fault.List
	languages map[string][]string // by site
	state     previewState
	seq       uint64
	changed   chan struct{} // closed with each build
}

// newPreview has the sites' applications where the preview can answer for them: nothing of it leaves this machine.
func newPreview(c *config.Config, base string, now func() time.Time) *preview {
	own := *c
	own.Sites = slices.Clone(c.Sites)
	for i := range own.Sites {
		s := &own.Sites[i]
		s.AppURL = base + previewApp + s.Name
		s.PageURL = strings.TrimSuffix(base+"/"+s.Path, "/") + "/"
	}
	return &preview{
		config: &own, base: base, now: now, seq: 1, changed: make(chan struct{}),
		state: previewState{Mode: string(status.Offline), End: "ahead", Message: "none"},
	}
}

// build builds the site anew. What was there before stays where that fails.
func (p *preview) build() error {
	all, remarks, err := buildPages(p.config)
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.changed)
	p.changed = make(chan struct{})
	if err != nil {
		p.wrong, p.remarks = err.Error(), nil
		return err
	}
	p.wrong, p.remarks = "", remarks
	p.files, p.languages = map[string]site.File{}, map[string][]string{}
	for _, s := range all {
		p.languages[s.site.Name] = s.languages
		for _, f := range s.files {
			p.files[f.Key] = f
		}
	}
	return nil
}

// said is what the last build came to.
func (p *preview) said() (wrong string, remarks fault.List) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wrong, p.remarks
}

func (p *preview) handler() http.Handler {
	mux := http.NewServeMux()
	own, err := fs.Sub(previewFiles, "preview")
	if err != nil {
		panic(err) // it is embedded
	}
	mux.Handle("GET "+previewOwn, http.StripPrefix(previewOwn, http.FileServerFS(own)))
	mux.HandleFunc("GET "+previewOwn+"sites", p.listSites)
	mux.HandleFunc("GET "+previewOwn+"events", p.events)
	mux.HandleFunc("PUT "+previewOwn+"status", p.choose)
	mux.HandleFunc("GET "+previewApp, p.application)
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

// previewSite is what the bar lists.
type previewSite struct {
	Name      string   `json:"name"`
	Path      string   `json:"path"`
	Languages []string `json:"languages"` // the main page's first
}

func (p *preview) listSites(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := []previewSite{}
	for _, s := range p.config.Sites {
		out = append(out, previewSite{s.Name, s.Path, append([]string{}, p.languages[s.Name]...)})
	}
	sendJSON(w, out)
}

// events tells of each build what is wrong with it.
func (p *preview) events(w http.ResponseWriter, r *http.Request) {
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

// choose takes what the bar has chosen. Another site's page can't send it: a PUT from elsewhere asks first, and isn't allowed.
func (p *preview) choose(w http.ResponseWriter, r *http.Request) {
	var s previewState
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

func (s previewState) valid() bool {
	return (s.Mode == previewUnreachable || slices.Contains(status.Modes(), status.Mode(s.Mode))) &&
		slices.Contains([]string{"none", "ahead", "passed"}, s.End) && slices.Contains([]string{"none", "short", "long"}, s.Message)
}

// previewUnreachable stands for a status that can't be had.
const previewUnreachable = "unreachable"

// status is the document that goes with what the bar has chosen.
func (p *preview) status(w http.ResponseWriter, s config.Site) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.Header().Set("Access-Control-Allow-Origin", "*")
	if p.state.Mode == previewUnreachable {
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
		if text, ok := map[string]string{"short": previewShort, "long": previewLong}[p.state.Message]; ok {
			d.Message = &text
		}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(d.Marshal()) // the browser may have gone
}

// application stands in for the site: where a visitor is led back to.
func (p *preview) application(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintf(w, previewHere, strings.TrimPrefix(r.URL.Path, previewApp))
}

// page is a file of the maintenance site as it would be published, or the bar with the page below it.
func (p *preview) page(w http.ResponseWriter, r *http.Request) {
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
		http.ServeFileFS(w, r, previewFiles, "preview/bar.html")
		return
	}
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", f.ContentType)
	_, _ = w.Write(f.Data)
}

func sendJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the browser may have gone
}
