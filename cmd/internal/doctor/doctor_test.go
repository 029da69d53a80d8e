package doctor

import (
	"context"
	"errors"
	"maps"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// want fails the test unless the last finding is this one, with a hint unless all is well.
func want(t *testing.T, e *examination, check Check, level Level) {
	t.Helper()
	if len(e.findings) == 0 {
		t.Fatalf("%s: nothing found", check)
	}
	f := e.findings[len(e.findings)-1]
	if f.Check != check || f.Level != level || (f.Hint == "") != (level == OK) {
		t.Errorf("got %+v, want %s: %s", f, check, level)
	}
}

func TestCertificate(t *testing.T) {
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	until := srv.Certificate().NotAfter
	for _, c := range []struct {
		name, host string
		now        time.Time
		want       Level
	}{
		{"good", "example.com", until.Add(-30 * 24 * time.Hour), OK},
		{"soon", "example.com", until.Add(-13 * 24 * time.Hour), Warning},
		{"expired", "example.com", until.Add(time.Second), Fault},
		{"another's", "demo.example.org", until.Add(-30 * 24 * time.Hour), Fault},
	} {
		e := &examination{Doctor: Doctor{Now: func() time.Time { return c.now }}}
		e.certificate(context.Background(), dial, u.Host, c.host, "the site's")
		t.Run(c.name, func(t *testing.T) { want(t, e, "certificate", c.want) })
	}
	plain := httptest.NewServer(nil)
	defer plain.Close()
	e := &examination{Doctor: Doctor{Now: time.Now}}
	e.certificate(context.Background(), dial, plain.Listener.Addr().String(), "example.com", "the site's")
	want(t, e, "certificate", OK) // another server speaks TLS for it
	e.certificate(context.Background(), dial, "127.0.0.1:1", "example.com", "the site's")
	want(t, e, "certificate", Fault)
}

func TestDisk(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name  string
		space Space
		err   error
		want  Level
	}{
		{"room", Space{bytes: 1 << 30, files: 1e6}, nil, OK},
		{"little room", Space{bytes: 50 << 20, files: 1e6}, nil, Warning},
		{"full", Space{bytes: 1 << 20, files: 1e6}, nil, Fault},
		{"no files left", Space{bytes: 1 << 30, files: 3}, nil, Fault},
		{"files aren't counted", Space{bytes: 1 << 30, uncounted: true}, nil, OK},
		{"gone", Space{}, errors.New("gone"), Fault},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &examination{Doctor: Doctor{
				Host: &maintenance.Host{Config: &config.Config{StateDir: dir, Nginx: config.Nginx{ConfDir: dir + "/not/there/yet"}}},
				Free: func(d string) (Space, error) {
					if d != dir {
						t.Errorf("looked at %s, want %s", d, dir)
					}
					return c.space, c.err
				},
			}}
			e.disk()
			if e.findings[0].Check != "disk" || e.findings[0].Level != c.want {
				t.Errorf("got %+v, want %s", e.findings[0], c.want)
			}
		})
	}
}

// A gate that is just starting is waited for, and one that stays silent is not waited for for ever.
func TestGateThatIsStarting(t *testing.T) {
	for name, c := range map[string]struct {
		silent int // how often it takes no notice
		err    error
		asked  int
		want   Level
	}{
		"it answers": {0, nil, 1, OK}, "it starts": {3, nil, 4, OK}, "it stays silent": {100, nil, gateAttempts, Fault},
		"there is none": {0, unix.ENOENT, 1, Fault},
	} {
		asked := 0
		e := &examination{Doctor: Doctor{
			Host: &maintenance.Host{Config: &config.Config{}},
			Ask: func(context.Context, string, string) (int, error) {
				if asked++; asked <= c.silent {
					return 0, context.DeadlineExceeded
				}
				return 401, c.err
			},
		}}
		e.passes(t.Context(), config.Site{Name: "demo"})
		want(t, e, "gate", c.want)
		if asked != c.asked {
			t.Errorf("%s: it was asked %d times, want %d", name, asked, c.asked)
		}
	}
}

func TestUpstreamPorts(t *testing.T) {
	demo := config.Site{Name: "demo", Upstreams: []string{"127.0.0.1:8000", "unix:/run/app.sock", "localhost:8001", "10.0.0.9:8002"}}
	for _, c := range []struct {
		listens string
		want    Level
	}{
		{"127.0.0.1:8000", OK},
		{"[::1]:8001", OK},
		{"0.0.0.0:8000", Fault},
		{"[::]:8001", Fault},
		{"192.0.2.7:8001", Fault},
		{"0.0.0.0:8002", OK}, // the application is on another machine
		{"10.0.0.9:8002", Fault},
		{"0.0.0.0:80", OK},
	} {
		e := &examination{Doctor: Doctor{Listening: func() ([]netip.AddrPort, error) {
			return []netip.AddrPort{netip.MustParseAddrPort(c.listens)}, nil
		}}}
		e.upstreams(demo)
		t.Run(c.listens, func(t *testing.T) { want(t, e, "upstream ports", c.want) })
	}
	e := &examination{Doctor: Doctor{Listening: func() ([]netip.AddrPort, error) { return nil, errors.New("no /proc") }}}
	e.upstreams(demo)
	want(t, e, "upstream ports", Fault)
}

// careless is a store that writes whatever the condition, of one kind or both.
type careless struct {
	store.Store
	always func(store.Condition) bool
	wrote  map[string]store.Meta
}

func (c careless) Put(ctx context.Context, key string, data []byte, meta store.Meta, cond store.Condition) (string, error) {
	if c.always(cond) {
		cond = store.Always()
	}
	etag, err := c.Store.Put(ctx, key, data, meta, cond)
	if err == nil {
		c.wrote[key] = meta
	}
	return etag, err
}

// TestConditionalWrites: what is published isn't written again, and by a store that does so all the same only as it
// was.
func TestConditionalWrites(t *testing.T) {
	schema := site.Schema("demo")
	compressed := site.Compressed([]site.File{schema})[0]
	for _, c := range []struct {
		name   string
		kind   string
		data   []byte
		always func(store.Condition) bool
		want   Level
		wrote  map[string]store.Meta
	}{
		{"honoured", "dir:/x", []byte("an older one"), func(store.Condition) bool { return false }, OK, map[string]store.Meta{schema.Key + ".doctor": {}}},
		{"honoured by a bucket", "s3://x", compressed.Data, func(store.Condition) bool { return false }, OK, map[string]store.Meta{}},
		{"no If-None-Match", "s3://x", compressed.Data, func(c store.Condition) bool { return c == store.IfAbsent() }, Fault,
			map[string]store.Meta{schema.Key: {ContentType: schema.ContentType, CacheControl: schema.CacheControl, Encoding: "gzip"}}},
		{"no If-Match", "s3://x", schema.Data, func(c store.Condition) bool { return c != store.IfAbsent() }, Fault,
			map[string]store.Meta{schema.Key: {ContentType: schema.ContentType, CacheControl: schema.CacheControl}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, err := store.Open("dir:"+t.TempDir(), store.S3Options{})
			if err != nil {
				t.Fatal(err)
			}
			st := careless{dir, c.always, map[string]store.Meta{}}
			e := &examination{Doctor: Doctor{
				Host: &maintenance.Host{Config: &config.Config{Store: c.kind, Sites: []config.Site{{Path: "new"}, {Path: "demo"}}}, Store: st},
			}}
			e.store(context.Background())
			want(t, e, checkConditionalWrites, Warning) // nothing is published yet
			if left, err := dir.List(context.Background(), ""); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v (%v)", left, err)
			}
			if _, err := dir.Put(context.Background(), schema.Key, c.data, store.Meta{}, store.Always()); err != nil {
				t.Fatal(err)
			}
			e.store(context.Background())
			want(t, e, checkConditionalWrites, c.want)
			left, err := dir.List(context.Background(), "")
			if err != nil || len(left) != 1 || left[0].ETag != store.ContentETag(c.data) {
				t.Errorf("left behind: %v (%v)", left, err)
			}
			if !maps.Equal(st.wrote, c.wrote) {
				t.Errorf("wrote %v, want %v", st.wrote, c.wrote)
			}
		})
	}
}

func TestOlderThan(t *testing.T) {
	for version, want := range map[string]bool{"1.17.10": true, "1.18.0": false, "1.22.1": false, "0.9.1": true, "2.0": false, "": false, "x.y": false} {
		if got := olderThan(version, 1, 18); got != want {
			t.Errorf("%q: got %v, want %v", version, got, want)
		}
	}
}

// An examination ends though something of it hangs, and says what.
func TestHang(t *testing.T) {
	dir := t.TempDir()
	journal := filepath.Join(dir, "journal")
	if err := unix.Mkfifo(journal, 0o600); err != nil { // nobody ever writes to it: who reads it hangs for good
		t.Fatal(err)
	}
	st, err := store.Open("dir:"+dir, store.S3Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := Doctor{
		Host:   &maintenance.Host{Config: &config.Config{StateDir: dir, Nginx: config.Nginx{ConfDir: dir}, Store: "dir:" + dir}, Store: st},
		Nginx:  control.Nginx{TestCommand: []string{"cat", journal}, PIDFile: "/nowhere"},
		Free:   Free,
		AtMost: 100 * time.Millisecond,
	}
	found := d.Examine(context.Background())
	for _, f := range found {
		if f.Check == checkTime && f.Level == Fault && strings.Contains(f.Text, "files") && f.Hint != "" {
			return
		}
	}
	t.Errorf("nothing says what hangs: %v", found)
}

// TestNoteRights: the note of the orders stays as it is, whether or not the store honours conditions.
func TestNoteRights(t *testing.T) {
	for name, always := range map[string]bool{"honoured": false, "not honoured": true} {
		t.Run(name, func(t *testing.T) {
			dir, err := store.Open("dir:"+t.TempDir(), store.S3Options{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := dir.Put(t.Context(), "demo/order_note.json", []byte("{}\n"), store.Meta{}, store.Always()); err != nil {
				t.Fatal(err)
			}
			st := careless{dir, func(store.Condition) bool { return always }, map[string]store.Meta{}}
			if err := noteRights(t.Context(), st, "demo/order_note.json"); always != (err == nil) || errors.Is(err, store.ErrDenied) {
				t.Error(err)
			}
			if data, _, err := dir.Get(t.Context(), "demo/order_note.json"); err != nil || string(data) != "{}\n" {
				t.Errorf("it is %q now (%v)", data, err)
			}
		})
	}
}
