package maintenance

import (
	"net/netip"
	"testing"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// TestWhatWasEndedIsNotSeenAgain ends a worker whose application is slow to close its side: that is one connection.
func TestWhatWasEndedIsNotSeenAgain(t *testing.T) {
	nginx, app, other := netip.MustParseAddrPort("127.0.0.1:40000"), netip.MustParseAddrPort("127.0.0.1:8000"), netip.MustParseAddrPort("127.0.0.1:40001")
	c := &change{}
	c.drain.ended = map[workers.Connection]bool{{Local: nginx, Remote: app, Process: workers.Process{PID: 7}, Upstream: true}: true}
	for _, row := range []struct {
		name          string
		local, remote netip.AddrPort
		left          int
	}{
		{"from nginx's end", nginx, app, 0},
		{"from the application's", app, nginx, 0},
		{"another", other, app, 1},
	} {
		left := c.concerning(workers.Remaining{GivenUp: []workers.Connection{{Local: row.local, Remote: row.remote, Upstream: true}}}, 0)
		if len(left.GivenUp) != row.left {
			t.Errorf("seen %s: %d left, want %d", row.name, len(left.GivenUp), row.left)
		}
	}
}
