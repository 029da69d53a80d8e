package modes

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestWhoWasLetInGetsTheAnswer has nginx redirect requests of its own accord after a site was closed: these were let in
// before, and the application has done its work.
func TestWhoWasLetInGetsTheAnswer(t *testing.T) {
	t.Parallel()
	rows := []struct {
		path   string
		answer http.Header // of the application, with its status as "Status"
		body   string
		want   string // what the client gets
		then   string // what the application is asked for after that
	}{
		{"/file", http.Header{"X-Accel-Redirect": {"/kept/report.txt"}}, "", "200 the report", ""},
		{"/elsewhere", http.Header{"X-Accel-Redirect": {"/other/part"}}, "", "200 a part", "/other/part"},
		{"/intercepted", http.Header{"Status": {"500"}}, "", "500 sorry", ""},
		{"/asked-again", http.Header{"Status": {"502"}}, "", "200 a part", "/again"},
		{"/parts", http.Header{"Content-Type": {"text/html"}}, `begun <!--#include virtual="/part" --> ended`, "200 begun a part ended", "/part"},
		{"/plain", http.Header{"Status": {"201"}}, "done", "201 done", ""},
	}
	s := rig.NewSingle(t)
	s.Server = `proxy_intercept_errors on;
        error_page 500 /sorry.html;
        error_page 502 =200 /again;
        location = /sorry.html { internal; default_type text/html; alias sorry.html; }
        location /kept/ { internal; alias kept/; }
        location /parts { ssi on; proxy_pass http://` + rig.Loopback(s.App.Port) + `; }`
	rig.WriteFile(t, filepath.Join(s.Nginx.Dir, "sorry.html"), "sorry")
	rig.WriteFile(t, filepath.Join(s.Nginx.Dir, "kept", "report.txt"), "the report")
	var release chan struct{} // of what has come since it was made
	s.App.Handle = func(w http.ResponseWriter, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		for _, row := range rows {
			if r.URL.Path != row.path {
				continue
			}
			<-release
			code := http.StatusOK
			for name, values := range row.answer {
				if name == "Status" {
					_, _ = fmt.Sscan(values[0], &code)
					continue
				}
				w.Header()[name] = values
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, row.body)
			return true
		}
		_, _ = io.WriteString(w, "a part")
		return true
	}
	s.Install(t)
	s.StartGate(t)
	admin := "Authorization: Bearer " + rig.AdminToken(s.Blocks[0].Secret)
	for _, change := range []struct {
		to     string
		method string
		header []string
	}{
		{"offline", "POST", nil}, {"online", "", nil}, {"admin", "POST", nil},
		{"offline", "POST", []string{admin, "Content-Type: application/json"}}, {"online", "", nil},
		{"offline", "GET", []string{"Accept: text/html"}},
	} {
		if change.method == "" {
			s.CLI(t, "set", change.to).Want(t, 0)
			continue
		}
		release = make(chan struct{})
		var conns []*rig.Conn
		var asked []rig.Message
		before := s.App.Count()
		for _, row := range rows {
			m := rig.Message{Method: change.method, Target: row.path, Header: change.header}
			if change.method == "POST" {
				m.Body = "{}"
			}
			conn := s.Client().Dial(t)
			defer conn.Close()
			conn.Send(t, m)
			conns, asked = append(conns, conn), append(asked, m)
		}
		rig.WaitFor(t, "the requests to arrive", func() bool { return len(s.App.Open()) == len(rows) })
		set := s.Start(t, rig.Call{Args: []string{"set", change.to, "--drain", "5m"}})
		set.Says(t, "draining: ")
		close(release)
		for i, row := range rows {
			res := conns[i].Receive(t, asked[i])
			if got := fmt.Sprintf("%d %s", res.Status, strings.TrimSpace(res.Body)); got != row.want {
				t.Errorf("%s, %s of %s: got %q, want %q", change.to, change.method, row.path, got, row.want)
			}
			conns[i].Close()
		}
		set.Wait(t).Want(t, 0)
		reached := map[string]int{}
		for _, r := range s.App.Since(before) {
			reached[r.URI]++
		}
		for _, row := range rows {
			if reached[row.path] != 1 || row.then != "" && reached[row.then] != 1 {
				t.Errorf("%s, %s of %s: the application was asked for %v", change.to, change.method, row.path, reached)
			}
		}
		for _, row := range rows {
			res := s.Client().Do(t, rig.Message{Method: "POST", Target: row.path, Body: "{}"})
			if res.Status != 503 || res.Header.Get("X-Conforma-Status") != change.to {
				t.Errorf("%s: who comes later to %s gets %d %s", change.to, row.path, res.Status, res.Body)
			}
		}
	}
}

// TestWholeBodyBeforeTheAnswer has clients that send all that they have before they read, for longer than nginx is
// told to listen.
func TestWholeBodyBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	wholeBody(t, "lingering_time 1s;", 3*time.Second, "offline", "admin")
}

// wholeBody has them take so long, beside what the operator has in the server block.
func wholeBody(t *testing.T, lines string, takes time.Duration, modes ...string) {
	s := rig.NewSingle(t)
	s.Server = lines
	s.Install(t)
	for _, mode := range modes {
		s.CLI(t, "set", mode).Want(t, 0)
		const pieces = 50
		conns := map[string]*rig.Conn{}
		header := map[string]string{"a call": "Accept: application/json", "a form": "Sec-Fetch-Mode: navigate"}
		message := func(name string) rig.Message {
			return rig.Message{Method: "POST", Target: "/server/api/upload", Header: []string{
				fmt.Sprintf("Content-Length: %d", pieces*1000), header[name]}}
		}
		for name := range header {
			conns[name] = s.Client().Dial(t)
			defer conns[name].Close()
			conns[name].Send(t, message(name))
		}
		for range pieces {
			time.Sleep(takes / pieces)
			for name, conn := range conns {
				if _, err := io.WriteString(conn, strings.Repeat("u", 1000)); err != nil {
					t.Fatalf("%s: %s: send: %v", mode, name, err)
				}
			}
		}
		for name, want := range map[string]int{"a call": 503, "a form": 302} {
			if res := conns[name].Receive(t, message(name)); res.Status != want {
				t.Errorf("%s: %s gets %d, want %d", mode, name, res.Status, want)
			}
		}
	}
}
