// Package answers says what becomes of a request to a site in each mode, and checks that it does.
package answers

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/status/client"
)

// Outcome is what becomes of a request.
type Outcome string

const (
	Normal    Outcome = "as before conforma-status was installed"
	ToPage    Outcome = "redirected to the maintenance page"
	Refused   Outcome = "refused with a 503"
	Preflight Outcome = "allowed by CORS, without the application"
	Own       Outcome = "status.json"
	Probed    Outcome = "the probe's answer"
	Healthy   Outcome = "200 to a load balancer"
	Worker    Outcome = "the service worker, or what ends it"
	None      Outcome = "404, without the application"
	Bad       Outcome = "400, without the application"
	Kept      Outcome = "answered by nginx itself"
	Barred    Outcome = "502, since the kernel keeps nginx from the application"
	Secure    Outcome = "307 to https, without the application"
)

// Want is what the answers of a site have to say.
type Want struct {
	Host      *rig.Host
	Site      string
	Mode      string
	Page      string     // URL of the maintenance page
	Eta       *time.Time // nil when none is announced
	Published string     // status.json as it is in the store; "" where nginx need not have it yet
	Message   rig.Message
	Before    Met // what this request met before conforma-status was installed
}

// wayBack is what stands behind the address of the page: the path and query of a request's target.
func wayBack(target string) string {
	if _, rest, absolute := strings.Cut(target, "://"); absolute && !strings.HasPrefix(target, "/") { // RFC 9112, 3.2.2
		_, path, _ := strings.Cut(rest, "/")
		target = "/" + path
	}
	if target == "/" || len(target) >= 1500 {
		return ""
	}
	return "#at=" + target
}

func (w Want) Check(t *testing.T, o Outcome, got Met) {
	t.Helper()
	if o == Normal {
		if now, then := got.answer.Stable(), w.Before.answer.Stable(); now != then {
			t.Errorf("want the answer from before conforma-status was installed\ngot:\n%s\nwant:\n%s", now, then)
		}
		if !reflect.DeepEqual(got.reached, w.Before.reached) {
			t.Errorf("the application saw %+v,\nbefore conforma-status was installed it saw %+v", got.reached, w.Before.reached)
		}
		return
	}
	if len(got.reached) != 0 {
		t.Errorf("want %q, but %d requests reached the application: %+v", o, len(got.reached), got.reached)
	}
	switch r := got.answer; o {
	case ToPage:
		hasStatus(t, r, 302)
		hasHeader(t, r, "Location", w.Page+wayBack(w.Message.Target))
		hasHeader(t, r, "Cache-Control", "no-store")
		hasHeader(t, r, "X-Conforma-Status", w.Mode)
		hasHeader(t, r, "Retry-After", "")
	case Refused:
		w.refused(t, r)
	case Preflight:
		hasStatus(t, r, 204)
		hasHeader(t, r, "Access-Control-Allow-Origin", w.sent("Origin"))
		hasHeader(t, r, "Cache-Control", "no-store")
		hasHeader(t, r, "X-Conforma-Status", w.Mode)
		lists(t, r, "Access-Control-Allow-Methods", "POST", "PUT", "DELETE", "PATCH")
		lists(t, r, "Access-Control-Allow-Headers", strings.Split(w.sent("Access-Control-Request-Headers"), ",")...)
		lists(t, r, "Vary", "Origin")
	case Own:
		hasStatus(t, r, 200)
		hasHeader(t, r, "Content-Type", "application/json")
		hasHeader(t, r, "Cache-Control", "no-cache")
		hasHeader(t, r, "Access-Control-Allow-Origin", "*")
		if w.Message.Method == "HEAD" {
			return
		}
		if w.Published != "" && r.Body != w.Published {
			t.Errorf("nginx says %s, published is %s", r.Body, w.Published)
		}
		if !strings.Contains(r.Body, `"mode":"`+w.Mode+`"`) {
			t.Errorf("status.json says %s, want mode %s", r.Body, w.Mode)
		}
	case Probed:
		hasStatus(t, r, 200)
		hasHeader(t, r, "Cache-Control", "no-store")
		var a struct {
			Site, Mode, Revision string
			Closed               *bool
		}
		if err := json.Unmarshal([]byte(r.Body), &a); err != nil || a.Site != w.Site || a.Mode != w.Mode || a.Revision == "" ||
			a.Closed == nil || *a.Closed != (w.Mode == "offline") {
			t.Errorf("the probe says %s (%v), want site %s and mode %s", r.Body, err, w.Site, w.Mode)
		}
	case Healthy:
		hasStatus(t, r, 200)
		hasHeader(t, r, "Cache-Control", "no-store")
		hasHeader(t, r, "Content-Type", "text/plain")
	case Worker:
		hasStatus(t, r, 200)
		hasHeader(t, r, "Content-Type", "text/javascript")
		hasHeader(t, r, "Service-Worker-Allowed", "/")
		hasHeader(t, r, "Cache-Control", "no-cache")
		if w.Message.Method != "HEAD" && r.Body != client.NoWorker() {
			t.Errorf("the service worker is %q", r.Body)
		}
	case None:
		hasStatus(t, r, 404)
	case Barred:
		hasStatus(t, r, 502)
	case Bad:
		hasStatus(t, r, 400)
	case Kept:
	case Secure:
		hasStatus(t, r, 307)
		hasHeader(t, r, "Location", w.Host.Block(t, w.Site).Origin()+w.Message.Target)
	default:
		t.Fatalf("unknown outcome %q", o)
	}
}

// refused checks the 503: for people who read headers, for scripts of any origin, and for GraphQL clients.
func (w Want) refused(t *testing.T, r rig.Response) {
	t.Helper()
	hasStatus(t, r, 503)
	hasHeader(t, r, "Retry-After", "60")
	hasHeader(t, r, "Cache-Control", "no-store")
	hasHeader(t, r, "X-Conforma-Status", w.Mode)
	hasHeader(t, r, "Content-Type", "application/json")
	hasHeader(t, r, "Access-Control-Allow-Origin", w.sent("Origin"))
	lists(t, r, "Access-Control-Expose-Headers", "Retry-After", "X-Conforma-Status")
	if w.sent("Origin") != "" {
		lists(t, r, "Vary", "Origin")
	}
	if w.Message.Method == "HEAD" {
		return
	}
	var until any
	if w.Eta != nil {
		until = w.Eta.Format(time.RFC3339)
	}
	wantBody := map[string]any{
		"error": "maintenance", "mode": w.Mode, "expectedUntil": until, "pageUrl": w.Page,
		"errors": []any{map[string]any{"message": "maintenance", "extensions": map[string]any{"code": "MAINTENANCE"}}},
	}
	var body map[string]any
	if err := json.Unmarshal([]byte(r.Body), &body); err != nil || !reflect.DeepEqual(body, wantBody) {
		t.Errorf("the 503 says %s (%v), want %v", r.Body, err, wantBody)
	}
}

// sent returns a header of the request, "" when it has none of that name.
func (w Want) sent(name string) string {
	for _, line := range w.Message.Header {
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
