package maintenance

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/status"
)

// document is one of the site's as somebody published it.
func (w *world) document(m status.Mode, seq uint64) []byte {
	d := firstDocument(w.site, w.now)
	d.Mode, d.Seq = m, seq
	return d.Marshal()
}

// TestPublish: what is there before a closing is published, or comes in between, and what is there then.
func TestPublish(t *testing.T) {
	key := "demo/status.json"
	for name, c := range map[string]struct {
		there     func(*world)
		published bool
		seq       uint64 // in the store, and in the receipt where it was published
		warns     string
	}{
		"nothing there":             {func(*world) {}, true, 1, ""},
		"an older one":              {func(w *world) { w.docs[key] = w.document(status.Online, 1) }, true, 2, ""},
		"a closed one of others":    {func(w *world) { w.docs[key] = w.document(status.Admin, 41) }, true, 42, "somebody else had published admin (seq 41)"},
		"a document that isn't one": {func(w *world) { w.docs[key] = []byte("<html>") }, true, 1, ""},
		"an empty file":             {func(w *world) { w.docs[key] = []byte{} }, true, 1, ""},
		"one of the future":         {func(w *world) { w.docs[key] = []byte(`{"version":2,"seq":9}`) }, false, 9, ""},
		"somebody comes in between": {func(w *world) { w.between = func() { w.docs[key] = w.document(status.Online, 5) } }, true, 6, ""},
		"somebody takes it away": {func(w *world) {
			w.docs[key] = w.document(status.Online, 5)
			w.between = func() { delete(w.docs, key) }
		}, true, 6, ""},
		"somebody comes in between for ever": {func(w *world) {
			seq := uint64(5)
			w.between = func() {}
			w.moment = func(what string) {
				if what == "put" {
					w.docs[key] = w.document(status.Online, seq)
					seq++
				}
			}
		}, false, 9, ""},
		"the store is down":      {func(w *world) { w.storeErr = errDown }, false, 0, ""},
		"the answer is lost":     {func(w *world) { w.lostPuts = 1 }, false, 1, ""},
		"the same is there":      {func(w *world) { w.docs[key] = w.closing(1) }, true, 1, ""},
		"the same, further on":   {func(w *world) { w.docs[key] = w.closing(8) }, true, 8, ""},
		"the same, further back": {func(w *world) { w.docs[key] = w.closing(0) }, true, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.there(w)
			r := w.set(t, status.Offline)
			if r.Published != c.published || (r.PublishErr == nil) != c.published {
				t.Errorf("published: %v, %v", r.Published, r.PublishErr)
			}
			if c.published && r.Seq != c.seq {
				t.Errorf("seq %d, want %d", r.Seq, c.seq)
			}
			if d, err := status.Parse(w.docs[key]); err == nil && d.Seq != c.seq {
				t.Errorf("in the store is seq %d, want %d", d.Seq, c.seq)
			}
			if warnings := strings.Join(r.Warnings, "\n"); !strings.Contains(warnings, c.warns) || c.warns == "" && strings.Contains(warnings, "somebody") {
				t.Errorf("warnings: %q, want %q", warnings, c.warns)
			}
			if w.effective() != status.Offline || r.SafeSince == nil {
				t.Errorf("nginx is %s, safe since %v", w.effective(), r.SafeSince)
			}
			if name == "one of the future" {
				return
			}
			w.storeErr, w.moment = nil, func(string) {}
			w.reconcile(t)
			w.agrees(t, status.Offline)
			if rs := w.reconcile(t); len(rs) != 0 {
				t.Errorf("reconcile took %s", rs[0].steps())
			}
		})
	}
}

// closing is the document that set offline is about to publish, but for its sequence number.
func (w *world) closing(seq uint64) []byte {
	d, err := status.Parse(w.document(status.Offline, seq))
	if err != nil {
		panic(err)
	}
	return d.Marshal()
}

// TestPublishStatus: a machine without a record never replaces what is there.
func TestPublishStatus(t *testing.T) {
	w := newWorld(t)
	d, put, err := w.PublishStatus(t.Context(), w.site)
	if err != nil || !put || d.Mode != status.Online || d.Seq != 1 {
		t.Errorf("nothing was there: %+v, %v, %v", d, put, err)
	}
	answers := filepath.Join(w.Dir().SiteDir("demo"), nginxconf.StatusFile)
	if said, err := os.ReadFile(answers); err != nil || !bytes.Equal(said, w.docs["demo/status.json"]) {
		t.Errorf("nginx says %s (%v), published is %s", said, err, w.docs["demo/status.json"])
	}
	w.docs["demo/status.json"] = w.document(status.Offline, 7)
	d, put, err = w.PublishStatus(t.Context(), w.site)
	if err != nil || put || d.Mode != status.Offline || w.published() != status.Offline {
		t.Errorf("something was there: %+v, %v, %v", d, put, err)
	}
	if said, err := os.ReadFile(answers); err != nil || bytes.Contains(said, []byte("offline")) {
		t.Errorf("an nginx that is online says %s (%v)", said, err)
	}
	w.set(t, status.Admin)
	delete(w.docs, "demo/status.json")
	if d, put, err = w.PublishStatus(t.Context(), w.site); err != nil || !put || d.Mode != status.Admin {
		t.Errorf("with a record: %+v, %v, %v", d, put, err)
	}
	w.agrees(t, status.Admin)
}

// TestPublishMovesAddresses: a page that lies elsewhere now is told to visitors by publish, whatever the mode, and get
// sees before that it isn't.
func TestPublishMovesAddresses(t *testing.T) {
	for _, recorded := range []bool{false, true} {
		w := newWorld(t)
		w.docs["demo/status.json"] = w.document(status.Offline, 7)
		if recorded {
			w.set(t, status.Offline)
		}
		seq := w.publishedDocument(t).Seq
		w.site.PageURL = "https://elsewhere.example.org/demo/"
		w.Config.Sites[0] = w.site
		v, err := w.View(t.Context(), w.site)
		if err != nil || !slices.ContainsFunc(v.Drift, func(d Drift) bool { return errors.Is(d.Err, ErrOldAddress) }) {
			t.Errorf("on record: %v: get sees %v, %v", recorded, v.Drift, err)
		}
		d, put, err := w.PublishStatus(t.Context(), w.site)
		if err != nil || !put || d.PageURL != w.site.PageURL || d.Mode != status.Offline || d.Seq != seq+1 {
			t.Errorf("on record: %v: published %+v, %v, %v", recorded, d, put, err)
		}
		if there := w.publishedDocument(t); !there.Same(d) || there.Seq != d.Seq {
			t.Errorf("on record: %v: in the store is %+v", recorded, there)
		}
		if d, put, err = w.PublishStatus(t.Context(), w.site); err != nil || put || d.Seq != seq+1 {
			t.Errorf("on record: %v: published again %+v, %v, %v", recorded, d, put, err)
		}
		v, err = w.View(t.Context(), w.site)
		if err != nil || slices.ContainsFunc(v.Drift, func(d Drift) bool { return errors.Is(d.Err, ErrOldAddress) }) {
			t.Errorf("on record: %v: get still sees %v, %v", recorded, v.Drift, err)
		}
	}
}

// publishedDocument is what is in the store.
func (w *world) publishedDocument(t *testing.T) status.Document {
	t.Helper()
	d, err := status.Parse(w.docs["demo/status.json"])
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestReconcileMends what doesn't agree, and then does nothing any more.
func TestReconcileMends(t *testing.T) {
	rules := func(w *world) string { return nginxconf.SiteFile(w.Config.Nginx.ConfDir, "demo") }
	for name, damage := range map[string]func(*world) error{
		"edited rules":    func(w *world) error { return os.WriteFile(rules(w), []byte("# nothing\n"), 0o644) },
		"no rules":        func(w *world) error { return os.Remove(rules(w)) },
		"other rules":     func(w *world) error { w.loaded.mode = status.Online; return nil },
		"no http.conf":    func(w *world) error { return os.Remove(nginxconf.HTTPFile(w.Config.Nginx.ConfDir)) },
		"the closed file": func(w *world) error { _ = w.Dir().Open("demo"); return nil },
		"a closed file":   func(w *world) error { return w.Dir().Shut("demo") },
		"nothing published": func(w *world) error {
			delete(w.docs, "demo/status.json")
			return nil
		},
		"another status":        func(w *world) error { w.docs["demo/status.json"] = w.document(status.Online, 99); return nil },
		"an older status":       func(w *world) error { w.docs["demo/status.json"] = w.document(status.Online, 0); return nil },
		"a status that is none": func(w *world) error { w.docs["demo/status.json"] = []byte("hello"); return nil },
		"an empty status":       func(w *world) error { w.docs["demo/status.json"] = []byte{}; return nil },
		"another site's status": func(w *world) error {
			d := firstDocument(w.site, w.now)
			d.Site = "north"
			w.docs["demo/status.json"] = d.Marshal()
			return nil
		},
		"a store that was down": func(w *world) error {
			w.storeErr = errDown
			message := "back soon"
			_, err := w.Set(context.Background(), w.request(w.effective(), func(r *Request) { r.Message = &message }))
			w.storeErr = nil
			return err
		},
	} {
		for _, mode := range modes {
			t.Run(name+", "+string(mode), func(t *testing.T) {
				w := newWorld(t)
				w.set(t, mode)
				if err := damage(w); err != nil {
					t.Fatal(err)
				}
				w.reconcile(t)
				w.agrees(t, mode)
				w.moment = func(what string) {
					if what == "put" || what == "reload" || what == "test" {
						t.Errorf("reconcile went on to %s though all agrees", what)
					}
				}
				for range 3 {
					if rs := w.reconcile(t); len(rs) != 0 {
						t.Errorf("reconcile took %s", rs[0].steps())
					}
				}
			})
		}
	}
}

// TestReconcileLeavesWhatItDoesNotKnow: a site that was never changed here, and a status of a newer conforma-status.
func TestReconcileLeavesWhatItDoesNotKnow(t *testing.T) {
	w := newWorld(t)
	w.docs["demo/status.json"] = w.document(status.Offline, 7)
	if rs := w.reconcile(t); len(rs) != 0 || w.published() != status.Offline || w.effective() != status.Online {
		t.Errorf("without a record it took %d changes", len(rs))
	}
	w.set(t, status.Offline)
	newer := []byte(`{"version":2,"mode":"online"}`)
	w.docs["demo/status.json"] = newer
	if rs := w.reconcile(t); len(rs) != 0 || string(w.docs["demo/status.json"]) != string(newer) {
		t.Errorf("a newer status became %s", w.docs["demo/status.json"])
	}
}

// TestStoreThatHangs: a closing waits for its announcement only so long.
func TestStoreThatHangs(t *testing.T) {
	w := newWorld(t)
	deadline := time.Duration(0)
	w.Store = hanging{fakeStore{w}, func(ctx context.Context) {
		if d, ok := ctx.Deadline(); ok {
			deadline = time.Until(d)
		}
	}}
	r := w.set(t, status.Offline)
	if deadline <= 0 || deadline > announceTimeout {
		t.Errorf("the store may take %v", deadline)
	}
	if r.Published || w.effective() != status.Offline {
		t.Errorf("published: %v, nginx is %s", r.Published, w.effective())
	}
}

// hanging is a store that never answers. It doesn't wait to say so.
type hanging struct {
	fakeStore
	asked func(context.Context)
}

func (h hanging) Get(ctx context.Context, _ string) ([]byte, string, error) {
	h.asked(ctx)
	return nil, "", context.DeadlineExceeded
}
