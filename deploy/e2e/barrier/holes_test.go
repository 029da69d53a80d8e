package barrier

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// hole is a server elsewhere in nginx that leads to the application of the site.
type hole struct {
	name string
	// lines are of http {}, where PORT is a free port; see host.words.
	lines string
	// ask is the request, default "/".
	ask string
	// read is what reading nginx's configuration makes of it. What it doesn't find leaks without the barrier.
	read reading
}

type reading int

const (
	unsure reading = iota // it says that it can't tell
	found
	missed
)

var holes = []hole{
	{name: "composed by set of set", lines: `server { listen 127.0.0.1:PORT; set $a 127.0.0; set $b $a.1; location / { proxy_pass http://$b:APP; } }`},
	{name: "a port in a variable", lines: `server { listen 127.0.0.1:PORT; location / { set $p APP; proxy_pass http://127.0.0.1:$p; } }`},
	{name: "the halves of a port", lines: `server { listen 127.0.0.1:PORT; location ~ ^/(?<half>.*)$ { proxy_pass http://127.0.0.1:$half/; } }`, ask: "/APP"},
	{name: "geo", lines: `geo $g { default 127.0.0.9:9; 127.0.0.0/8 127.0.0.1:APP; } server { listen 127.0.0.1:PORT; location / { proxy_pass http://$g; } }`},
	{name: "split_clients", lines: `split_clients $remote_addr $c { 100% 127.0.0.1:APP; * 127.0.0.9:9; } server { listen 127.0.0.1:PORT; location / { proxy_pass http://$c; } }`},
	{name: "a capture of a regular expression", lines: `server { listen 127.0.0.1:PORT; location ~ ^/to/([0-9.]+)/(\d+)$ { proxy_pass http://$1:$2/; } }`, ask: "/to/127.0.0.1/APP"},
	{name: "of the query", lines: `server { listen 127.0.0.1:PORT; location / { proxy_pass http://127.0.0.1:$arg_p/; } }`, ask: "/?p=APP"},
	{name: "of a header", lines: `server { listen 127.0.0.1:PORT; location / { proxy_pass http://$http_x_to; } }`},
	{name: "hexadecimal", lines: `server { listen 127.0.0.1:PORT; location / { proxy_pass http://0x7f000001:APP; } }`, read: missed},
	{name: "one decimal number", lines: `server { listen 127.0.0.1:PORT; location / { proxy_pass http://2130706433:APP; } }`, read: missed},
	{name: "a mapped address", lines: `server { listen 127.0.0.1:PORT; location / { proxy_pass http://[::ffff:127.0.0.1]:APP; } }`, read: found},
	{name: "this machine without a name", lines: `server { listen 127.0.0.1:PORT; location / { proxy_pass http://0.0.0.0:APP; } }`, read: found},
	{name: "another address of loopback", lines: `server { listen 127.0.0.1:PORT; location / { set $n 3; proxy_pass http://127.0.0.$n:WILD; } }`},
	{name: "loopback of IPv6, of all addresses", lines: `server { listen 127.0.0.1:PORT; location / { set $n 1; proxy_pass http://[::$n]:WILD; } }`},
	{name: "loopback of IPv6", lines: `server { listen 127.0.0.1:PORT; location / { set $n 1; proxy_pass http://[::$n]:BOTH; } }`},
	{name: "a named location of error_page", lines: `server { listen 127.0.0.1:PORT; set $p APP; error_page 418 = @app; location / { return 418; } location @app { proxy_pass http://127.0.0.1:$p; } }`},
	{name: "what try_files falls back to", lines: `server { listen 127.0.0.1:PORT; set $p APP; location / { root DIR/none; try_files $uri @app; } location @app { proxy_pass http://127.0.0.1:$p; } }`},
	{name: "a map of a map", lines: `map $host $m { default 127.0.0.1; } map $m $n { default $m:APP; } server { listen 127.0.0.1:PORT; location / { proxy_pass http://$n; } }`},
	{name: "the same address", lines: `server { listen 127.0.0.1:PORT; location / { proxy_pass http://127.0.0.1:APP; } }`, read: found},
	{name: "an upstream", lines: `upstream hole { server 127.0.0.1:APP; keepalive 4; } server { listen 127.0.0.1:PORT; location / { proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://hole; } }`, read: found},
	{name: "a backup server", lines: `upstream aside { server 127.0.0.9:9; server 127.0.0.1:APP backup; } server { listen 127.0.0.1:PORT; location / { proxy_pass http://aside; } }`, read: found},
}

// TestHoles closes a site that servers elsewhere in nginx lead to, by ways that reading the configuration can't follow.
// With the barrier nothing gets through. Without it what can't be read does, which is why there is a barrier.
func TestHoles(t *testing.T) {
	t.Parallel()
	rig.NeedBarrier(t)
	h := newHost(t)
	ports := map[string]int{}
	write := func(want func(hole) bool) (lines string) {
		for _, o := range holes {
			if ports[o.name] == 0 {
				ports[o.name] = rig.Port(t)
			}
			if want(o) {
				lines += h.words(strings.ReplaceAll(o.lines, "PORT", fmt.Sprint(ports[o.name]))) + "\n"
			}
		}
		return lines
	}
	knock := func(o hole) int {
		addr := rig.Loopback(ports[o.name])
		path := h.words(o.ask)
		if path == "" {
			path = "/"
		}
		n := h.App.Count()
		(rig.Client{Addr: addr, Host: addr}).Get(t, path, "X-To: "+rig.Loopback(h.App.Port))
		return h.App.Count() - n
	}
	all := func(hole) bool { return true }
	rig.WriteFile(t, h.Enabled("shape.conf"), write(all))
	h.Install(t)
	for _, o := range holes {
		if knock(o) != 1 {
			t.Errorf("%s: it leads nowhere while the site is open", o.name)
		}
	}
	still := h.talk(t)
	got := receiptOf(t, h.CLI(t, "set", "offline", "--json").Want(t, 0))
	if !got.Barrier || got.SafeSince == nil {
		t.Errorf("there is no barrier: %+v", got)
	}
	for i, o := range holes {
		if n := knock(o); n > 0 {
			t.Errorf("%s: it reaches the application of a closed site", o.name)
		}
		if is := readingOf(got, h.Enabled("shape.conf"), i+1); is != o.read {
			t.Errorf("%s: reading the configuration: %d, want %d, in %q", o.name, is, o.read, got.Warnings)
		}
	}
	still()
	got = receiptOf(t, h.CLI(t, "set", "online", "--json").Want(t, 0))
	if got.Tried == nil || got.Tried.Nginx < len(holes) || !got.warns("or a way past the site's rules") {
		t.Errorf("the opening says of who tried %+v, %q", got.Tried, got.Warnings)
	}
	h.answers(t, "/")

	h.NoBarrier(t)
	if r := h.CLI(t, "set", "offline"); r.Code != 1 {
		t.Errorf("without the barrier: exit code %d, want 1: %s", r.Code, r.Stderr)
	}
	rig.WriteFile(t, h.Enabled("shape.conf"), write(func(o hole) bool { return o.read != found }))
	got = receiptOf(t, h.CLI(t, "set", "offline", "--json").Want(t, 0))
	if got.Barrier || !got.warns("can't be told") {
		t.Errorf("the barrier is switched off: %+v", got)
	}
	for _, o := range holes {
		if o.read != found && knock(o) == 0 {
			t.Errorf("%s: it doesn't lead to the application, and proves nothing of the barrier", o.name)
		}
	}
	h.CLI(t, "set", "online").Want(t, 0)
}

// readingOf is what a receipt says of the line of a file.
func readingOf(r receipt, file string, line int) reading {
	at := regexp.MustCompile(regexp.QuoteMeta(fmt.Sprintf("%s:%d", file, line)) + `\b`)
	for _, w := range r.Warnings {
		switch told := !strings.Contains(w, "can't be told"); {
		case !at.MatchString(w):
		case told:
			return found
		default:
			return unsure
		}
	}
	return missed
}
