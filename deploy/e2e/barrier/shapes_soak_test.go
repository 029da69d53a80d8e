//go:build soak

package barrier

import (
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestSoakShapes has the rest of the table.
func TestSoakShapes(t *testing.T) { tryShapes(t, longer) }

var longer = []shape{
	{
		name: "limit_req parks", http: `limit_req_zone $binary_remote_addr zone=parking:1m rate=1r/s;`,
		server: `location = /parked { limit_req zone=parking burst=9; proxy_pass http://127.0.0.1:APP; }`,
		during: func(t *testing.T, x *traffic) {
			for range 4 {
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
}
