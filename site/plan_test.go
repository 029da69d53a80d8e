package site

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/msupply-foundation/conforma-status/status/store"
)

// memory is a store that keeps what it is given, in the order in which it was given.
type memory struct {
	mu      sync.Mutex
	puts    []string // keys
	deleted []string
	fail    string // the key that can't be written, or deleted
	wrong   []string
}

var errFull = errors.New("full")

func (m *memory) Put(_ context.Context, key string, data []byte, meta store.Meta, cond store.Condition) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if key == m.fail {
		return "", errFull
	}
	if string(data) != "x" || meta != (store.Meta{ContentType: "type", CacheControl: "cache"}) || cond != store.Always() {
		m.wrong = append(m.wrong, key)
	}
	m.puts = append(m.puts, key)
	return store.ContentETag(data), nil
}

func (m *memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if key == m.fail {
		return errFull
	}
	m.deleted = append(m.deleted, key)
	return nil
}

func listing(keyAndText ...string) []store.Object {
	var objects []store.Object
	for i := 0; i < len(keyAndText); i += 2 {
		objects = append(objects, store.Object{Key: keyAndText[i], ETag: store.ContentETag([]byte(keyAndText[i+1]))})
	}
	return objects
}

func TestPlan(t *testing.T) {
	built := func(path string) []File {
		var out []File
		for _, name := range []string{"index.html", "pt/index.html", "status.schema.json"} {
			out = append(out, File{Key: path + name, Data: []byte("new")})
		}
		return out
	}
	tests := map[string]struct {
		path     string
		existing []store.Object
		want     string
	}{
		"an empty store": {"", nil, "new status.schema.json, new pt/index.html, new index.html"},
		"nothing to do": {"demo", listing("demo/index.html", "new", "demo/pt/index.html", "new", "demo/status.schema.json", "new"),
			"unchanged demo/status.schema.json, unchanged demo/pt/index.html, unchanged demo/index.html"},
		"something of each": {"demo", listing("demo/fr/index.html", "old", "demo/index.html", "old", "demo/status.schema.json", "new"),
			"unchanged demo/status.schema.json, new demo/pt/index.html, changed demo/index.html, stale demo/fr/index.html"},
		"what isn't of the page is left alone": {"demo", listing("demo/status.json", "x", "demo/conforma-status.js", "x", "demo/logo.png", "x", "demo/fr/other.html", "x",
			"demo/french/index.html", "x", "demo/fr/fr/index.html", "x", "index.html", "x", "fr/index.html", "x", "other/index.html", "x"),
			"new demo/status.schema.json, new demo/pt/index.html, new demo/index.html"},
		"a site whose name could be a language": {"", listing("ng/index.html", "x", "ng/status.json", "x", "fr/index.html", "x", "la/index.html", "x", "la/status.schema.json", "x"),
			"new status.schema.json, new pt/index.html, new index.html, stale fr/index.html"},
		"opaque ETags": {"", []store.Object{{Key: "index.html", ETag: "abc-2"}}, "new status.schema.json, new pt/index.html, changed index.html"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			prefix := tt.path
			if prefix != "" {
				prefix += "/"
			}
			var got []string
			for _, c := range Plan(Site{Path: tt.path}, built(prefix), tt.existing) {
				got = append(got, string(c.Action)+" "+c.Key)
			}
			if got := strings.Join(got, ", "); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestPlanSeesHeaders: the same content with other headers is something to send, where nothing but ETags can be
// compared.
func TestPlanSeesHeaders(t *testing.T) {
	page := File{"index.html", []byte("page"), htmlType, pageCache, ""}
	was := Compressed([]File{page})[0]
	for name, c := range map[string]struct {
		change func(*File)
		want   Action
	}{
		"nothing":       {func(*File) {}, Unchanged},
		"content":       {func(f *File) { f.Data = []byte("other") }, Changed},
		"type":          {func(f *File) { f.ContentType = "text/plain" }, Changed},
		"cache control": {func(f *File) { f.CacheControl = "no-store" }, Changed},
	} {
		is := page
		c.change(&is)
		plan := Plan(Site{}, Compressed([]File{is}), []store.Object{{Key: was.Key, ETag: store.ContentETag(was.Data)}})
		if len(plan) != 1 || plan[0].Action != c.want {
			t.Errorf("other %s: %s, want %s", name, plan[0].Action, c.want)
		}
	}
}

// keptFile is what lies in a bucket.
type keptFile struct {
	data string
	meta store.Meta
}

// bucket keeps what it is given with its headers.
type bucket struct {
	files  map[string]keptFile
	before func(key string) // called before each Put
}

func (b *bucket) Describe(_ context.Context, key string) (store.Meta, error) {
	if key == "broken" {
		return store.Meta{}, errFull
	}
	if _, ok := b.files[key]; !ok {
		return store.Meta{}, store.ErrNotFound
	}
	return b.files[key].meta, nil
}

func (b *bucket) Get(_ context.Context, key string) ([]byte, string, error) {
	data := b.files[key].data
	return []byte(data), data, nil
}

func (b *bucket) Put(_ context.Context, key string, data []byte, meta store.Meta, cond store.Condition) (string, error) {
	b.before(key)
	if cond != store.IfMatch(b.files[key].data) {
		return "", store.ErrPrecondition
	}
	b.files[key] = keptFile{string(data), meta}
	return string(data), nil
}

// TestFixHeaders writes what lies in a bucket with its headers again, and nothing where somebody else is at it.
func TestFixHeaders(t *testing.T) {
	right := store.Meta{ContentType: "type", CacheControl: "cache", Encoding: "gzip"}
	file := func(key string) File { return File{key, []byte("not looked at"), "type", "cache", "gzip"} }
	b := &bucket{files: map[string]keptFile{
		"fine": {"1", right}, "type": {"2", store.Meta{ContentType: "binary/octet-stream", CacheControl: "cache", Encoding: "gzip"}},
		"encoding": {"3", store.Meta{ContentType: "type", CacheControl: "cache"}}, "taken": {"4", store.Meta{}},
	}}
	b.before = func(key string) {
		if key == "taken" {
			b.files[key] = keptFile{"5", store.Meta{CacheControl: "theirs"}}
		}
	}
	got, err := FixHeaders(t.Context(), b, []File{file("fine"), file("type"), file("gone"), file("taken"), file("encoding"), file("broken"), file("fine")})
	if !errors.Is(err, errFull) || !strings.Contains(err.Error(), "broken") || !slices.Equal(got, []string{"type", "encoding"}) {
		t.Errorf("wrote %q: %v", got, err)
	}
	want := map[string]keptFile{"fine": {"1", right}, "type": {"2", right}, "encoding": {"3", right}, "taken": {"5", store.Meta{CacheControl: "theirs"}}}
	if !reflect.DeepEqual(b.files, want) {
		t.Errorf("in the store is %v, want %v", b.files, want)
	}
}

func TestUpload(t *testing.T) {
	file := func(key string, a Action) Change {
		return Change{File{key, []byte("x"), "type", "cache", ""}, a}
	}
	// Two sites' plans, one behind the other.
	plan := []Change{
		file("index.html", Changed), file("pt/index.html", New), file("status.schema.json", New), file("fr/index.html", Stale),
		file("b/index.html", New), file("b/pt/index.html", Unchanged), file("b/status.schema.json", Unchanged), file("b/new.js", New),
	}
	stages := [][]string{{"b/new.js", "status.schema.json"}, {"b/index.html", "pt/index.html"}, {"index.html"}}
	for name, tt := range map[string]struct {
		fail string
		done int // stages that are whole
	}{
		"everything":         {"", 3},
		"a part fails":       {"b/new.js", 0},
		"a page fails":       {"pt/index.html", 1},
		"the last one fails": {"index.html", 2},
	} {
		t.Run(name, func(t *testing.T) {
			m := &memory{fail: tt.fail}
			var told []string
			err := Upload(t.Context(), m, plan, func(c Change) { told = append(told, c.Key) })
			if (err != nil) != (tt.fail != "") || err != nil && (!errors.Is(err, errFull) || !strings.Contains(err.Error(), tt.fail)) {
				t.Errorf("got error %v", err)
			}
			if !reflect.DeepEqual(slices.Sorted(slices.Values(told)), slices.Sorted(slices.Values(m.puts))) || len(m.wrong)+len(m.deleted) > 0 {
				t.Errorf("wrote %q, told of %q, wrote otherwise %q, deleted %q", m.puts, told, m.wrong, m.deleted)
			}
			rest := m.puts
			for i, stage := range stages {
				var got []string
				for len(rest) > 0 && slices.Contains(stage, rest[0]) {
					got, rest = append(got, rest[0]), rest[1:]
				}
				slices.Sort(got)
				if i < tt.done && !reflect.DeepEqual(got, stage) || i > tt.done && len(got) > 0 {
					t.Errorf("stage %d: wrote %q of %q", i, got, stage)
				}
			}
			if len(rest) > 0 {
				t.Errorf("wrote %q out of order", rest)
			}
		})
	}
	if err := Upload(t.Context(), &memory{}, plan, nil); err != nil {
		t.Errorf("without progress: %v", err)
	}
}

func TestPrune(t *testing.T) {
	plan := []Change{{File{Key: "index.html"}, Unchanged}, {File{Key: "old.js"}, Stale}, {File{Key: "fr/index.html"}, Stale}}
	m := &memory{}
	if err := Prune(t.Context(), m, plan, nil); err != nil || !reflect.DeepEqual(m.deleted, []string{"fr/index.html", "old.js"}) || len(m.puts) > 0 {
		t.Errorf("deleted %q, wrote %q: %v", m.deleted, m.puts, err)
	}
	m = &memory{fail: "fr/index.html"}
	if err := Prune(t.Context(), m, plan, nil); !errors.Is(err, errFull) || len(m.deleted) > 0 {
		t.Errorf("deleted %q: %v", m.deleted, err)
	}
}
