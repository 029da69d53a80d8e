package gate

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCount(t *testing.T) {
	h := Count(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "good" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if r.Header.Get("Authorization") == "offered" {
			w.Header().Set(offerHeader, "a=b")
		}
		w.WriteHeader(http.StatusUnauthorized)
	}), []string{"north", "demo"})
	ask := func(target, authorization string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for range 3 {
		ask("/check/demo", "good")
	}
	ask("/check/demo", "bad")
	ask("/check/demo", "offered")
	for _, other := range []string{"/check/nobody", "/demo", "/check/demo/", "/check/%64emo", "/"} {
		if w := ask(other, "bad"); w.Code != http.StatusUnauthorized {
			t.Errorf("%s: got %d", other, w.Code)
		}
	}
	got := ask("/metrics", "").Body.String()
	for _, line := range []string{
		"# TYPE conforma_status_gate_admitted_total counter\n",
		"conforma_status_gate_admitted_total{site=\"demo\"} 3\nconforma_status_gate_admitted_total{site=\"north\"} 0\n",
		"conforma_status_gate_refused_total{site=\"demo\"} 1\nconforma_status_gate_refused_total{site=\"north\"} 0\n",
	} {
		if !strings.Contains(got, line) {
			t.Errorf("there is no %q in\n%s", line, got)
		}
	}
	if strings.Contains(got, "nobody") {
		t.Errorf("a site that nobody named is counted:\n%s", got)
	}
}
