package gate

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
)

// metricsPath answers with the counts in Prometheus' text format. nginx never asks for it: it is for this machine.
const metricsPath = "/metrics"

// counts are those of one site.
type counts struct{ admitted, refused atomic.Uint64 }

// Count wraps what NewHandler returns: GET /metrics answers how many requests of each of the sites it admitted and
// refused since it started, in Prometheus' text format (version 0.0.4). Sites that aren't named are not counted:
// whoever asks can't make the list grow.
func Count(next http.Handler, sites []string) http.Handler {
	all := map[string]*counts{}
	for _, name := range sites {
		all[name] = &counts{}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.RequestURI == metricsPath {
			w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
			_, _ = w.Write([]byte(exposition(all))) // who asked may be gone
			return
		}
		c := all[strings.TrimPrefix(r.RequestURI, checkPath)]
		if c == nil || !strings.HasPrefix(r.RequestURI, checkPath) {
			next.ServeHTTP(w, r)
			return
		}
		seen := &codeWriter{ResponseWriter: w}
		next.ServeHTTP(seen, r)
		switch {
		case seen.code != http.StatusUnauthorized:
			c.admitted.Add(1)
		case w.Header().Get(offerHeader) == "": // who is offered a cookie comes again
			c.refused.Add(1)
		}
	})
}

// codeWriter notes the status of an answer.
type codeWriter struct {
	http.ResponseWriter
	code int
}

func (w *codeWriter) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}

// Unwrap is for http.ResponseController.
func (w *codeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func exposition(all map[string]*counts) string {
	var b strings.Builder
	for _, m := range []struct {
		name, help string
		value      func(*counts) uint64
	}{
		{"conforma_status_gate_admitted_total", "Requests that the gate let through in admin mode.",
			func(c *counts) uint64 { return c.admitted.Load() }},
		{"conforma_status_gate_refused_total", "Requests that the gate refused in admin mode.",
			func(c *counts) uint64 { return c.refused.Load() }},
	} {
		fmt.Fprintf(&b, "# HELP %[1]s %[2]s\n# TYPE %[1]s counter\n", m.name, m.help)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			fmt.Fprintf(&b, "%s{site=%q} %d\n", m.name, name, m.value(all[name]))
		}
	}
	return b.String()
}
