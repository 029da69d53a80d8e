package demo

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/status/store"
)

func TestDemoParent(t *testing.T) {
	for temp, want := range map[string]string{
		"/tmp":                            "/tmp",
		"/var/tmp/of.somebody-else_2":     "/var/tmp/of.somebody-else_2",
		"/var/" + strings.Repeat("x", 80): "/tmp",
		"/tmp/with space":                 "/tmp",
		"/tmp/$HOME":                      "/tmp",
		`/tmp/"`:                          "/tmp",
		"relative":                        "/tmp",
		"":                                "/tmp",
	} {
		if got := parent(temp); got != want {
			t.Errorf("parent(%q) = %q, want %q", temp, got, want)
		}
	}
}

func TestFindNginx(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"on/nginx": 0o755, "not/nginx": 0o644, "empty/other": 0o755} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	on, not, empty := filepath.Join(dir, "on"), filepath.Join(dir, "not"), filepath.Join(dir, "empty")
	t.Chdir(dir)
	for _, test := range []struct{ name, path, beside, want string }{
		{"on the PATH", empty + ":" + on, empty, on + "/nginx"},
		{"beside it", empty, on, on + "/nginx"},
		{"not executable", not, empty, ""},
		{"nowhere", empty, empty, ""},
		{"no PATH", "", empty, ""},
		{"only in the working directory", "on:.", empty, ""},
	} {
		got, err := findNginx(test.path, test.beside)
		if got != test.want || (test.want == "") != errors.Is(err, ErrNoNginx) {
			t.Errorf("%s: got %q, %v, want %q", test.name, got, err, test.want)
		}
	}
}

func TestHoldAddress(t *testing.T) {
	held := map[string]bool{}
	for range 50 {
		addr, release, err := holdAddress()
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		if held[addr] {
			t.Fatalf("%s is given out twice", addr)
		}
		held[addr] = true
	}
	for addr := range held {
		l, err := net.Listen("tcp4", addr) // with SO_REUSEADDR, as nginx does it
		if err != nil {
			t.Fatalf("an address that is held can't be listened on: %v", err)
		}
		defer l.Close()
	}
}

func TestMaintenanceServer(t *testing.T) {
	dir := t.TempDir()
	st, err := store.Open("dir:"+dir, store.S3Options{})
	if err != nil {
		t.Fatal(err)
	}
	put := func(key, text string) {
		t.Helper()
		if _, err := st.Put(context.Background(), key, []byte(text), store.Meta{}, store.Always()); err != nil {
			t.Fatal(err)
		}
	}
	put("demo/index.html", "<!doctype html>")
	put("demo/status.json", `{"mode":"online"}`)
	if err := os.WriteFile(filepath.Join(dir, ".hidden"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	server := maintenanceServer(st)
	get := func(path, etag string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("If-None-Match", etag)
		server.ServeHTTP(w, r)
		return w
	}
	for _, test := range []struct {
		path      string
		code      int
		kind, has string
	}{
		{"/demo/", 200, "text/html; charset=utf-8", "<!doctype html>"},
		{"/demo/status.json", 200, "application/json", `{"mode":"online"}`},
		{"/", 404, "text/plain; charset=utf-8", ""},
		{"/demo", 404, "text/plain; charset=utf-8", ""},
		{"/.hidden", 404, "text/plain; charset=utf-8", ""},
		{"/demo/../demo/status.json", 404, "text/plain; charset=utf-8", ""},
	} {
		w := get(test.path, "")
		if w.Code != test.code || w.Header().Get("Content-Type") != test.kind || !strings.Contains(w.Body.String(), test.has) {
			t.Errorf("%s: %d %s: %s", test.path, w.Code, w.Header().Get("Content-Type"), w.Body)
		}
	}

	first := get("/demo/status.json", "")
	for name, want := range map[string]string{"Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"} {
		if got := first.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	etag := first.Header().Get("ETag")
	if w := get("/demo/status.json", etag); w.Code != http.StatusNotModified {
		t.Errorf("asked again: %d, want 304", w.Code)
	}
	put("demo/status.json", `{"mode":"offline"}`) // most likely within the same second
	if w := get("/demo/status.json", etag); w.Code != http.StatusOK || w.Body.String() != `{"mode":"offline"}` {
		t.Errorf("asked again after a change: %d: %s", w.Code, w.Body)
	}
}
