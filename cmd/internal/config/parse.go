package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/fault"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// maxSocketPath is what fits into sockaddr_un with its closing NUL (unix(7)).
const maxSocketPath = 107

// Parse reads and validates a configuration. file is only named in faults. Parse touches nothing outside its arguments.
// With a fault of scope Core the configuration is not usable.
func Parse(file string, data []byte) (*Config, fault.List) {
	r := &reader{file: file, names: map[string]*table{}, paths: map[string]*table{}}
	var tree map[string]any
	if err := toml.Unmarshal(data, &tree); err != nil {
		line := 1
		if de, is := errors.AsType[*toml.DecodeError](err); is {
			line, _ = de.Position()
		}
		problem := "is not TOML: " + strings.TrimPrefix(err.Error(), "toml: ")
		return nil, fault.List{{File: file, Line: line, Problem: problem}}
	}
	r.lines = sync.OnceValue(func() map[string]int { return keyLines(data) }) // only faults need them
	c := r.config(tree)
	c.File, c.lines = file, r.lines
	r.faults.Sort()
	return c, r.faults
}

func (r *reader) config(tree map[string]any) *Config {
	t := &table{r: r, tree: tree, keys: families()[""]}
	c := &Config{
		Store:       t.storeURL("store"),
		PageURL:     strings.TrimRight(t.webURL("page_url"), "/"),
		StateDir:    t.nginxPath("state_dir"),
		OnChange:    t.program("on_change"),
		AuditLog:    t.optionalPath("audit_log"),
		MetricsFile: t.optionalPath("metrics_file"),
		Barrier:     barrierOf(t),
	}
	c.Content = t.usual("content")
	t.checkAbsolute("content", c.Content)
	c.S3 = s3Of(t.sub("s3"))
	c.Nginx = nginxOf(t.sub("nginx"))
	c.Gate = gateOf(t.sub("gate"))
	c.Webhooks = r.webhooks(t.subs("webhook"))
	if t.has("fleet") {
		c.Fleet = fleetOf(t.sub("fleet"), c.Store)
	}
	sites := t.subs("site")
	c.Sites = slices.Grow(c.Sites, len(sites))
	for _, st := range sites {
		c.Sites = append(c.Sites, r.site(st, c))
	}
	if list, isList := tree["site"].([]any); len(list) == 0 && (isList || !t.has("site")) {
		t.fault("site", "there is no [[site]]",
			"add one for each web application behind nginx; conforma-status init guesses them from the nginx that runs here")
	}
	t.done()
	return c
}

func barrierOf(t *table) Barrier {
	b := Barrier(t.usual("barrier"))
	if known := []Barrier{BarrierAuto, BarrierRequired, BarrierOff}; !slices.Contains(known, b) {
		t.fault("barrier", fmt.Sprintf("%q is none of its values", b), `write "auto", "required" or "off"`)
	}
	return b
}

func s3Of(t *table) store.S3Options {
	s3 := store.S3Options{Region: t.usual("region"), PathStyle: t.flag("path_style"), Endpoint: t.usual("endpoint")}
	if s3.Endpoint != "" {
		t.checkURL("endpoint", s3.Endpoint)
	}
	t.done()
	return s3
}

func nginxOf(t *table) Nginx {
	n := Nginx{
		ConfDir: t.nginxPath("conf_dir"),
		Test:    t.command("test"),
		Reload:  t.command("reload"),
		PIDFile: t.absPath("pid_file"),
	}
	t.done()
	return n
}

func gateOf(t *table) Gate {
	g := Gate{Socket: t.nginxPath("socket")}
	if len(g.Socket) > maxSocketPath {
		t.fault("socket", fmt.Sprintf("is %d bytes long, a unix socket's path has at most %d", len(g.Socket), maxSocketPath), "")
	}
	if dir, _ := t.tree["remember"].(string); filepath.IsAbs(dir) {
		g.Verdicts = filepath.Clean(dir)
	}
	t.done()
	return g
}

// maxPoll is the longest time between two looks at the switch: an operator who closes waits for it.
const maxPoll = time.Minute

func fleetOf(t *table, public string) *Fleet {
	f := &Fleet{Host: t.text("host", ""), Store: t.storeURL("store"), Poll: t.duration("poll"), KeyFile: t.usual("key_file")}
	if f.Host != "" && !status.IsHostName(f.Host) {
		t.fault("host", fmt.Sprintf("%q can't name a host", f.Host), "use letters, digits and - in parts with dots between them (RFC 1123)")
	}
	if liesIn(f.Store, public) {
		t.fault("store", "lies in the store that visitors read", "name another bucket or directory: receipts are private")
	}
	if f.Poll > maxPoll {
		t.fault("poll", fmt.Sprintf("is more than %v", maxPoll), "an order is heard by the next look at the latest: write a few seconds")
	}
	t.checkAbsolute("key_file", f.KeyFile)
	if f.KeyFile == "" {
		t.fault("key_file", "is empty", "")
	}
	t.done()
	return f
}

// storeURL is the URL of a store.
func (t *table) storeURL(key string) string {
	s := t.text(key, required)
	if s == "" {
		return ""
	}
	if _, _, err := store.ParseURL(s); err != nil {
		t.fault(key, err.Error(), `write "s3://BUCKET" or "dir:/ABSOLUTE/PATH"`)
	}
	return s
}

// liesIn reports whether the store of one URL is that of another, or lies below it.
func liesIn(one, other string) bool {
	kind, place, err := store.ParseURL(one)
	ofOther, above, otherErr := store.ParseURL(other)
	return err == nil && otherErr == nil && kind == ofOther && (place == above || strings.HasPrefix(place, strings.TrimSuffix(above, "/")+"/"))
}
