package barrier

import (
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// byName has nginx look up the application's name at each request.
const byName = `DNS; set $app http://app.internal:APP; proxy_pass $app; proxy_ignore_client_abort on;`

// TestShapes has something be on its way, or find one, when a site closes. The rest of the table is in the soak tests.
func TestShapes(t *testing.T) { tryShapes(t, shapes) }

var shapes = []shape{
	{
		name: "a name that is looked up slowly, and a client that resets", server: `location = /named { ` + byName + ` }`,
		during: func(t *testing.T, x *traffic) {
			c := x.send(t, rig.Message{Target: "/named"})
			x.dns.isAsked(t)
			reset(t, c)
			x.later(x.dns.answer)
		},
		with: outcome{codes: []int{0}}, without: outcome{codes: []int{0, 4}}, held: true,
	},
	{
		name: "the lock of a cache, and a client that resets", http: `proxy_cache_path DIR/cache keys_zone=cache:1m;`,
		server: `location = /held { proxy_cache cache; proxy_cache_lock on; proxy_cache_lock_timeout 1h; proxy_cache_lock_age 1h; proxy_ignore_client_abort on; proxy_pass http://127.0.0.1:APP; }`,
		during: func(t *testing.T, x *traffic) {
			n := x.App.Count()
			x.send(t, rig.Message{Target: "/held"})
			x.arrived(t, n+1)
			reset(t, x.send(t, rig.Message{Target: "/held"}))
		},
		with: outcome{codes: []int{4}}, without: outcome{codes: []int{4}},
	},
	{
		name: "the exemption for certificates leads to the application",
		knock: func(t *testing.T, x *traffic) {
			x.Client().Get(t, "/.well-known/acme-challenge/"+rig.ACMEToken)
		},
		with: outcome{codes: []int{0}}, without: outcome{codes: []int{0}, leaks: true},
	},
	{
		name: "a client that leaves, and an application that goes on", grace: "2s", drain: "5s",
		during: func(t *testing.T, x *traffic) {
			n := x.App.Count()
			c := x.send(t, rig.Message{Target: slowPath + "?ms=1200"})
			x.arrived(t, n+1)
			reset(t, c)
		},
		with: outcome{codes: []int{0}}, without: outcome{codes: []int{0}},
	},
	{
		name:   "two servers of an upstream",
		http:   `geo $to { default two; } upstream two { server 127.0.0.1:APP; server 127.0.0.1:WILD; } server { listen 127.0.0.1:PORT; location / { proxy_pass http://$to; } }`,
		server: `location = /two { proxy_pass http://two; }`,
		knock: func(t *testing.T, x *traffic) {
			for range 4 {
				x.knock()
			}
		},
		with: outcome{codes: []int{0}}, without: outcome{codes: []int{0}, leaks: true},
	},
}
