package e2e

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// outcome is what becomes of a request.
type outcome string

const (
	normal    outcome = "as before conforma-status was installed"
	toPage    outcome = "redirected to the maintenance page"
	refused   outcome = "refused with a 503"
	preflight outcome = "allowed by CORS, without the application"
	own       outcome = "status.json"
	probed    outcome = "the probe's answer"
	none      outcome = "404, without the application"
	bad       outcome = "400, without the application"
	kept      outcome = "answered by nginx itself"
	secure    outcome = "307 to https, without the application"
)

// want is what the answers of a site have to say.
type want struct {
	host      *rig.Host
	site      string
	mode      string
	page      string     // URL of the maintenance page
	eta       *time.Time // nil when none is announced
	published string     // status.json as it is in the store; "" where nginx need not have it yet
	message   rig.Message
	before    met // what this request met before conforma-status was installed
}

func (w want) check(t *testing.T, o outcome, got met) {
	t.Helper()
	if o == normal {
		if now, then := got.answer.Stable(), w.before.answer.Stable(); now != then {
			t.Errorf("want the answer from before conforma-status was installed\ngot:\n%s\nwant:\n%s", now, then)
		}
		if !reflect.DeepEqual(got.reached, w.before.reached) {
			t.Errorf("the application saw %+v,\nbefore conforma-status was installed it saw %+v", got.reached, w.before.reached)
		}
		return
	}
	if len(got.reached) != 0 {
		t.Errorf("want %q, but %d requests reached the application: %+v", o, len(got.reached), got.reached)
	}
	switch r := got.answer; o {
	case toPage:
		hasStatus(t, r, 302)
		hasHeader(t, r, "Location", w.page)
		hasHeader(t, r, "Cache-Control", "no-store")
		hasHeader(t, r, "X-Conforma-Status", w.mode)
		hasHeader(t, r, "Retry-After", "")
	case refused:
		w.refused(t, r)
	case preflight:
		hasStatus(t, r, 204)
		hasHeader(t, r, "Access-Control-Allow-Origin", w.sent("Origin"))
		hasHeader(t, r, "Cache-Control", "no-store")
		hasHeader(t, r, "X-Conforma-Status", w.mode)
		lists(t, r, "Access-Control-Allow-Methods", "POST", "PUT", "DELETE", "PATCH")
		lists(t, r, "Access-Control-Allow-Headers", strings.Split(w.sent("Access-Control-Request-Headers"), ",")...)
		lists(t, r, "Vary", "Origin")
	case own:
		hasStatus(t, r, 200)
		hasHeader(t, r, "Content-Type", "application/json")
		hasHeader(t, r, "Cache-Control", "no-cache")
		hasHeader(t, r, "Access-Control-Allow-Origin", "*")
		if w.message.Method == "HEAD" {
			return
		}
		if w.published != "" && r.Body != w.published {
			t.Errorf("nginx says %s, published is %s", r.Body, w.published)
		}
		if !strings.Contains(r.Body, `"mode":"`+w.mode+`"`) {
			t.Errorf("status.json says %s, want mode %s", r.Body, w.mode)
		}
	case probed:
		hasStatus(t, r, 200)
		hasHeader(t, r, "Cache-Control", "no-store")
		var a struct {
			Site, Mode, Revision string
			Closed               *bool
		}
		if err := json.Unmarshal([]byte(r.Body), &a); err != nil || a.Site != w.site || a.Mode != w.mode || a.Revision == "" ||
			a.Closed == nil || *a.Closed != (w.mode == "offline") {
			t.Errorf("the probe says %s (%v), want site %s and mode %s", r.Body, err, w.site, w.mode)
		}
	case none:
		hasStatus(t, r, 404)
	case bad:
		hasStatus(t, r, 400)
	case kept:
	case secure:
		hasStatus(t, r, 307)
		hasHeader(t, r, "Location", w.host.Block(t, w.site).Origin()+w.message.Target)
	default:
		t.Fatalf("unknown outcome %q", o)
	}
}

// refused checks the 503: for people who read headers, for scripts of any origin, and for GraphQL clients.
func (w want) refused(t *testing.T, r rig.Response) {
	t.Helper()
	hasStatus(t, r, 503)
	hasHeader(t, r, "Retry-After", "60")
	hasHeader(t, r, "Cache-Control", "no-store")
	hasHeader(t, r, "X-Conforma-Status", w.mode)
	hasHeader(t, r, "Content-Type", "application/json")
	hasHeader(t, r, "Access-Control-Allow-Origin", w.sent("Origin"))
	lists(t, r, "Access-Control-Expose-Headers", "Retry-After", "X-Conforma-Status")
	if w.sent("Origin") != "" {
		lists(t, r, "Vary", "Origin")
	}
	if w.message.Method == "HEAD" {
		return
	}
	var until any
	if w.eta != nil {
		until = w.eta.Format(time.RFC3339)
	}
	wantBody := map[string]any{
		"error": "maintenance", "mode": w.mode, "expectedUntil": until, "pageUrl": w.page,
		"errors": []any{map[string]any{"message": "maintenance", "extensions": map[string]any{"code": "MAINTENANCE"}}},
	}
	var body map[string]any
	if err := json.Unmarshal([]byte(r.Body), &body); err != nil || !reflect.DeepEqual(body, wantBody) {
		t.Errorf("the 503 says %s (%v), want %v", r.Body, err, wantBody)
	}
}

// sent returns a header of the request, "" when it has none of that name.
func (w want) sent(name string) string {
	for _, line := range w.message.Header {
		if key, value, _ := strings.Cut(line, ":"); strings.EqualFold(key, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func hasStatus(t *testing.T, r rig.Response, code int) {
	t.Helper()
	if r.Status != code {
		t.Errorf("got %d, want %d: %s", r.Status, code, r.Body)
	}
}

// hasHeader checks a header that has to be there once with this value, or not at all where that is "".
func hasHeader(t *testing.T, r rig.Response, name, value string) {
	t.Helper()
	var all []string
	if value != "" {
		all = []string{value}
	}
	if got := r.Header.Values(name); !slices.Equal(got, all) {
		t.Errorf("%s is %q, want %q", name, got, all)
	}
}

// lists checks that a header, a list, has these members.
func lists(t *testing.T, r rig.Response, name string, members ...string) {
	t.Helper()
	list := strings.Split(strings.Join(r.Header.Values(name), ","), ",")
	for _, m := range members {
		if !slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), strings.TrimSpace(m)) }) {
			t.Errorf("%s is %q, want %q in it", name, list, m)
		}
	}
}
