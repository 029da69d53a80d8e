package publishing

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/s3server"
	"github.com/msupply-foundation/conforma-status/status"
)

// storeFault is one way in which a store answers badly.
type storeFault struct {
	name   string
	answer func(p *badStore, w http.ResponseWriter, r *http.Request) // nil for a store that isn't there at all
	code   int                                                       // of set, closing and opening
	says   []string
}

const (
	hintLater = "hint: the next conforma-status publish or set makes up for it"
	unsaid    = "(not published yet)"
)

var storeFaults = []storeFault{
	{"it refuses", nil, 3, []string{"refuses connections", "hint: see that this machine reaches the store", hintLater, unsaid}},
	{"it hangs", func(p *badStore, _ http.ResponseWriter, _ *http.Request) {
		for p.bad.Load() { // nobody is answered before the command has ended
			time.Sleep(5 * time.Millisecond)
		}
	},
		3, []string{"did not answer in time", "hint: see that this machine reaches the store", hintLater, unsaid}},
	{"it is slow", func(p *badStore, w http.ResponseWriter, r *http.Request) {
		time.Sleep(300 * time.Millisecond)
		p.real.ServeHTTP(w, r)
	}, 0, nil},
	{"it loses an answer after writing", func(p *badStore, w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && p.puts.Add(1)%2 == 1 {
			p.real.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		p.real.ServeHTTP(w, r)
	}, 0, nil},
	{"it loses every answer after writing", func(p *badStore, w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			p.real.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		p.real.ServeHTTP(w, r)
	}, 3, []string{"hint: see that this machine reaches the store", hintLater, unsaid}},
	{"it answers 409 once", func(p *badStore, w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && p.puts.Add(1)%2 == 1 {
			refuse(w, http.StatusConflict, "ConditionalRequestConflict")
			return
		}
		p.real.ServeHTTP(w, r)
	}, 0, nil},
	{"it answers 409 for ever", refusal(http.StatusConflict, "ConditionalRequestConflict"),
		3, []string{"somebody else changes it at the same time", hintLater, unsaid}},
	{"it answers 412", refusal(http.StatusPreconditionFailed, "PreconditionFailed"),
		3, []string{"somebody else changes it at the same time", hintLater, unsaid}},
	{"it answers 403", refusal(http.StatusForbidden, "AccessDenied"),
		3, []string{"access denied", "hint: allow these credentials s3:ListBucket", hintLater, unsaid}},
	{"it is in another region", func(_ *badStore, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("x-amz-bucket-region", "ap-southeast-2")
		refuse(w, http.StatusMovedPermanently, "PermanentRedirect")
	}, 3, []string{"is in region ap-southeast-2", `region = "ap-southeast-2"`, hintLater, unsaid}},
	{"it answers 500", refusal(http.StatusInternalServerError, "InternalError"),
		3, []string{"answered 500 (InternalError)", hintLater, unsaid}},
}

// refusal refuses every write.
func refusal(code int, name string) func(*badStore, http.ResponseWriter, *http.Request) {
	return func(p *badStore, w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			refuse(w, code, name)
			return
		}
		p.real.ServeHTTP(w, r)
	}
}

// refuse answers as S3 does.
func refuse(w http.ResponseWriter, code int, name string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(code)
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>made up</Message></Error>`, name)
}

// badStore stands before a real S3 server.
type badStore struct {
	real   http.Handler
	answer func(*badStore, http.ResponseWriter, *http.Request)
	bad    atomic.Bool
	puts   atomic.Int64
}

func (p *badStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.bad.Load() {
		p.answer(p, w, r)
		return
	}
	p.real.ServeHTTP(w, r)
}

// TestStoreFaultTable: a store that answers badly holds up no closing and no opening, and what could not be published
// is made up for by reconcile.
func TestStoreFaultTable(t *testing.T) { storeFaultTable(t, rig.Only(usualStoreFaults...)) }

// usualStoreFaults are those of make test. The others are in the soak tests.
var usualStoreFaults = []string{"it refuses", "it loses every answer after writing", "it answers 403"}

func storeFaultTable(t *testing.T, rows rig.Rows) {
	t.Parallel()
	srv := s3server.Start(t)
	srv.CreateBucket(t, "status")
	backend, err := url.Parse(srv.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range storeFaults {
		if !rows(f.name) {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			h := rig.OnlineSingle(t)
			rig.WriteSecret(t, filepath.Join(h.Nginx.Dir, ".aws", "credentials"),
				fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", srv.KeyID, srv.Secret))
			p := &badStore{answer: f.answer, real: &httputil.ReverseProxy{
				// Host stays: it is signed.
				Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(backend); r.Out.Host = r.In.Host },
			}}
			front := httptest.NewServer(p)
			defer front.Close()
			use := func(endpoint string) {
				h.Configure(t, rig.Settings{Store: fmt.Sprintf("s3://status/row%d", i),
					S3: fmt.Sprintf("endpoint = %q\nregion = %q\npath_style = true\n", endpoint, srv.Region)})
			}
			use(front.URL)
			h.CLI(t, "publish").Want(t, 0)
			rig.Agreed(t, h, status.Online)
			modes := []status.Mode{status.Offline}
			if f.code == 3 && i%3 == 1 || f.answer == nil { // an opening meets the same store
				modes = append(modes, status.Online)
			}
			for _, mode := range modes {
				if f.answer == nil {
					use("http://" + rig.Loopback(rig.Port(t)))
				}
				p.bad.Store(true)
				r := h.CLI(t, "set", string(mode))
				if r.Code != f.code {
					t.Errorf("set %s: exit code %d, want %d\n%s", mode, r.Code, f.code, r.Stderr)
				}
				rig.Says(t, r, f.says...)
				if strings.Contains(r.Stderr, srv.Secret) || strings.Contains(r.Stderr, srv.KeyID) {
					t.Errorf("set %s gives a key away:\n%s", mode, r.Stderr)
				}
				if got := rig.Lets(t, h); got != mode {
					t.Errorf("nginx is %s, want %s", got, mode)
				}
				p.bad.Store(false)
				use(front.URL)
				if f.code == 3 {
					if v := rig.ViewOf(t, h.CLI(t, "get", "--json")); v.Code != 5 || v.Mode != mode || len(v.Drift) == 0 {
						t.Errorf("get: exit code %d\n%s", v.Code, v.Text)
					}
				}
				h.CLI(t, "reconcile").Want(t, 0)
				rig.Agreed(t, h, mode)
			}
		})
	}
}
