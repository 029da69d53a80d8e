//go:build soak

package barrier

import (
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestSoakShapes has the rest of the table.
func TestSoakShapes(t *testing.T) { tryShapes(t, longer) }

var longer = []shape{
	{
		name: "limit_req parks", http: `limit_req_zone $binary_remote_addr zone=parking:1m rate=1r/s;`,
		server: `location = /parked { limit_req zone=parking burst=99; proxy_pass http://127.0.0.1:APP; }`,
		during: func(t *testing.T, x *traffic) {
			for range 60 { // the last is let go after a minute: on a slow machine, too, some are left
				x.send(t, rig.Message{Target: "/parked"})
			}
		},
		with: outcome{codes: []int{0}}, without: outcome{codes: []int{4}},
	},
	{
		name: "a time-out of nginx, and an application that goes on", grace: "2s", drain: "5s",
		server: `location = /slow { proxy_read_timeout 200ms; proxy_pass http://127.0.0.1:APP; }`,
		during: func(t *testing.T, x *traffic) {
			n := x.App.Count()
			x.send(t, rig.Message{Target: slowPath + "?ms=1200"})
			x.arrived(t, n+1)
		},
		with: outcome{codes: []int{0}}, without: outcome{codes: []int{0}},
	},
	{
		name: "half of a request's head, and half of an upload",
		during: func(t *testing.T, x *traffic) {
			head := x.Client().Dial(t)
			_, err := head.Write([]byte("GET /late HTTP/1.1\r\nHost: x\r\n"))
			rig.Check(t, err)
			body := x.send(t, rig.Message{Method: "POST", Target: "/server/api/upload", Header: []string{"Content-Length: 2000"}, Body: "half"})
			x.ends(func() { head.Close() })
			x.later(func() {
				_, _ = head.Write([]byte("\r\n")) // nginx may have ended either
				_, _ = body.Write(make([]byte, 1996))
			})
		},
		with: outcome{codes: []int{0}}, without: outcome{codes: []int{0, 4}},
	},
	{
		name:   "what a mirror sends besides",
		server: `location = /mirrored { mirror /copy; proxy_pass http://127.0.0.1:APP; } location = /copy { internal; ` + byName + ` }`,
		during: func(t *testing.T, x *traffic) {
			n := x.App.Count()
			c := x.send(t, rig.Message{Target: "/mirrored"})
			x.dns.isAsked(t)
			x.arrived(t, n+1)
			reset(t, c)
			x.later(x.dns.answer)
		},
		with: outcome{codes: []int{0}}, without: outcome{codes: []int{0}}, held: true,
	},
	{
		name: "a cache that is brought up to date in the background", http: `proxy_cache_path DIR/cache keys_zone=cache:1m;`,
		server: `location = /cached { proxy_cache cache; proxy_cache_valid 1s; proxy_cache_use_stale updating; proxy_cache_background_update on;
add_header Cache $upstream_cache_status; ` + byName + ` }`,
		during: func(t *testing.T, x *traffic) {
			x.dns.answer()
			rig.WaitFor(t, "the cache to have the answer", func() bool { // nginx puts it there after it has answered
				return x.Client().Get(t, "/cached").Header.Get("Cache") == "HIT"
			})
			x.dns.hold()
			rig.WaitFor(t, "what is cached to become old", func() bool {
				x.Client().Get(t, "/cached")
				return len(x.dns.asked) > 0
			})
			x.later(x.dns.answer)
		},
		with: outcome{codes: []int{0}}, without: outcome{codes: []int{0, 4}}, held: true,
	},
	{
		name: "a stream", main: `load_module /usr/lib/nginx/modules/ngx_stream_module.so;
stream { map $remote_addr $to { default 127.0.0.1:APP; } server { listen 127.0.0.1:PORT; proxy_pass $to; } }`,
		knock: func(t *testing.T, x *traffic) { x.knock() },
		with:  outcome{codes: []int{0}}, without: outcome{codes: []int{1}},
	},
	{
		name: "requests behind each other on a connection",
		during: func(t *testing.T, x *traffic) {
			n := x.App.Count()
			c := x.send(t, rig.Message{Target: rig.HeldPath})
			x.arrived(t, n+1)
			for range 3 {
				c.Send(t, rig.Message{Target: "/next"})
			}
		},
		with: outcome{codes: []int{4}}, without: outcome{codes: []int{4}},
	},
	{
		name:   "an upload that is passed on as it comes",
		server: `location = /server/api/upload { proxy_request_buffering off; proxy_pass http://127.0.0.1:APP; }`,
		during: func(t *testing.T, x *traffic) {
			n := x.App.Count()
			c := x.send(t, rig.Message{Method: "POST", Target: "/server/api/upload", Header: []string{"Content-Length: 2000"}, Body: "half"})
			x.arrived(t, n+1)
			x.later(func() { _, _ = c.Write(make([]byte, 1996)) }) // nginx may have ended it
		},
		with: outcome{codes: []int{4}}, without: outcome{codes: []int{4}},
	},
	{
		name: "connections to the application that nginx keeps",
		http: `geo $to { default pool; } upstream pool { server 127.0.0.1:APP; keepalive 8; }
server { listen 127.0.0.1:PORT; location / { proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://$to; } }`,
		during: func(t *testing.T, x *traffic) {
			x.ends(rig.Repeat(5*time.Millisecond, x.knock))
		},
		knock: func(t *testing.T, x *traffic) {
			for range 10 {
				x.knock()
			}
		},
		with: outcome{codes: []int{0, 4}}, without: outcome{codes: []int{0, 4}, leaks: true},
	},
	{
		name: "two sites on a port, the other with a client that stays",
		http: `server { listen SITE; server_name other.test; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
location / { proxy_pass http://127.0.0.1:BESIDE; } }`,
		server: `server_name 127.0.0.1;`,
		during: func(t *testing.T, x *traffic) {
			c := rig.Client{Addr: rig.Loopback(x.Blocks[0].Port), Host: "other.test"}
			still := x.talkAt(t, c)
			x.later(func() {
				if x.with {
					still()
				}
			})
		},
		with: outcome{codes: []int{0}}, without: outcome{codes: []int{0, 4}},
	},
	{
		name: "a reload again and again",
		during: func(t *testing.T, x *traffic) {
			x.later(rig.Repeat(150*time.Millisecond, func() {
				args := x.Nginx.Args("-s", "reload")
				_ = exec.Command(args[0], args[1:]...).Run() // nginx may be ending
			}))
		},
		knock: func(t *testing.T, x *traffic) { x.Client().Get(t, "/") },
		with:  outcome{codes: []int{0}}, without: outcome{codes: []int{0, 4}},
	},
	{
		name: "worker_shutdown_timeout", main: `worker_shutdown_timeout 200ms;`,
		during: func(t *testing.T, x *traffic) {
			n := x.App.Count()
			x.send(t, rig.Message{Target: rig.HeldPath})
			x.arrived(t, n+1)
		},
		with: outcome{codes: []int{4}}, without: outcome{codes: []int{4}},
		cuts: true,
	},
	{
		name: "an old worker that is stopped, and goes on afterwards",
		during: func(t *testing.T, x *traffic) {
			x.CLI(t, "get").Want(t, 0)
			for _, id := range rig.WorkerIDs(t, x.Single)[:1] {
				pid, err := strconv.Atoi(id)
				rig.Check(t, err)
				rig.Check(t, syscall.Kill(pid, syscall.SIGSTOP))
				x.later(func() { _ = syscall.Kill(pid, syscall.SIGCONT) }) // it may have been ended
			}
			for range 8 { // some of them wait to be accepted
				c := x.Client().Dial(t)
				c.Send(t, rig.Message{Target: "/waits"})
				x.ends(func() { c.Close() })
			}
		},
		with: outcome{codes: []int{0}}, without: outcome{codes: []int{0, 4}},
		cuts: true,
	},
	{
		name: "workers as nobody", user: "nobody nogroup",
		http:  `geo $to { default 127.0.0.1:APP; } server { listen 127.0.0.1:PORT; location / { proxy_pass http://$to; } }`,
		knock: func(t *testing.T, x *traffic) { x.knock() },
		with:  outcome{codes: []int{0}}, without: outcome{codes: []int{0}, leaks: true},
	},
	{
		name: "a second nginx, whose workers are another user's",
		during: func(t *testing.T, x *traffic) {
			other := rig.NewNginx(t)
			other.User = "games"
			other.Configure(t, "server { listen "+rig.Loopback(x.port)+"; location / { proxy_pass http://"+rig.Loopback(x.App.Port)+"; } }\n")
			other.Start(t)
			x.ends(func() { other.Stop(t) })
		},
		knock: func(t *testing.T, x *traffic) { x.knock() },
		with:  outcome{codes: []int{0}}, without: outcome{codes: []int{0}, leaks: true},
	},
	{
		name: "an application that is asked whether it is idle, when a client has left", site: `settled = ["bash", "DIR/settled.sh"]`, drain: "5s",
		during: func(t *testing.T, x *traffic) {
			rig.WriteFile(t, filepath.Join(x.Nginx.Dir, "settled.sh"), "exec 3<>/dev/tcp/127.0.0.1/"+strconv.Itoa(x.idle(t))+" && read -r said <&3 && [ \"$said\" = idle ]\n")
			n := x.App.Count()
			c := x.send(t, rig.Message{Target: slowPath + "?ms=1200"})
			x.arrived(t, n+1)
			reset(t, c)
		},
		with: outcome{codes: []int{0}}, without: outcome{codes: []int{0}}, vouched: true,
	},
}

// idle has the application say, at a port of its own, whether it is idle.
func (x *traffic) idle(t *testing.T) (port int) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	rig.Check(t, err)
	x.ends(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // the test is over
			}
			said := "idle\n"
			if len(x.App.Open()) > 0 {
				said = "at work\n"
			}
			_, _ = c.Write([]byte(said)) // who asked may have gone
			c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}
