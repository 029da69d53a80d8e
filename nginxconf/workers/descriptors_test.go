package workers

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// TestDescriptors: which old worker has a request in a file, and which has nothing of its own.
func TestDescriptors(t *testing.T) {
	const master, worker = 1, 2
	ofMaster := []string{"/dev/null", "/var/log/nginx/error.log", "socket:[10]", "socket:[11]", "pipe:[7]"}
	for name, c := range map[string]struct {
		has           string // beside what the master has
		gathers, bare bool
	}{
		"what every worker has":               {"anon_inode:[eventpoll]", false, true},
		"a connection":                        {"socket:[12]", false, false},
		"a file that it sends":                {"/srv/film.mp4", false, false},
		"a body, on Debian":                   {"/var/lib/nginx/body/0000000021 (deleted)", true, false},
		"a body, of nginx.org's":              {"/var/cache/nginx/client_temp/0000000021 (deleted)", true, false},
		"a body that is kept":                 {"/srv/bodies/1/02/0000000021", true, false},
		"a body, below an answer's name":      {"/srv/proxy/client_body_temp/0000000021 (deleted)", true, false},
		"an answer, on Debian":                {"/var/lib/nginx/proxy/1/02/0000000021 (deleted)", false, false},
		"an answer, of nginx.org's":           {"/var/cache/nginx/uwsgi_temp/1/02/0000000021 (deleted)", false, false},
		"a log that was rotated away from it": {"/var/log/nginx/error.log.1", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := Sockets{proc: t.TempDir()}
			for pid, links := range map[int][]string{master: ofMaster, worker: append([]string{c.has}, ofMaster...)} {
				dir := filepath.Join(s.proc, strconv.Itoa(pid), "fd")
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				for i, to := range links {
					if err := os.Symlink(to, filepath.Join(dir, fmt.Sprint(i))); err != nil {
						t.Fatal(err)
					}
				}
			}
			g := &glance{Sockets: s, before: Snapshot{master: master}, found: map[int]descriptors{}}
			if got := g.gathers(Process{PID: worker}); got != c.gathers {
				t.Errorf("it has a request in a file: %v", got)
			}
			if got := g.isBare(Process{PID: worker}); got != c.bare {
				t.Errorf("it has nothing of its own: %v", got)
			}
			if gone := (Process{PID: 3}); g.gathers(gone) || g.isBare(gone) {
				t.Error("one that is gone has something, or nothing")
			}
		})
	}
}
