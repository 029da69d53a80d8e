//go:build soak

package closing

import (
	"io"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestSoakManyIdleClients closes a site at whose port thousands of clients are connected and do nothing: they are let
// go by nginx, and who is at work in the application is waited for all the same.
func TestSoakManyIdleClients(t *testing.T) {
	const idle = 3000 // more than the sockets that a closing looks at without waiting
	s := &testSite{name: "demo", plain: true, extra: idleServer}
	h := newTestHost(t, s)
	h.CLI(t, "render").Want(t, 0)
	h.Nginx.Configure(t, h.nginxConf(true))
	rig.Edit(t, h.Nginx.Conf, "worker_connections 512;", "worker_connections 8000;")
	rig.Edit(t, h.Nginx.Conf, "worker_processes 2;", "worker_processes 2; worker_rlimit_nofile 10000;")
	h.Nginx.Start(t)
	l := newLoad(t, h)
	dialer := h.dialer(s)
	dialer.From = "127.0.4.1" // so that others find free ports
	for _, atWork := range []bool{false, true} {
		var clients []*rig.Conn
		for range idle {
			c := dialer.Dial(t)
			defer c.Close()
			if got := c.Do(t, rig.Message{Target: "/idle"}); got.Status != 204 {
				t.Fatalf("an idle client is answered %d", got.Status)
			}
			clients = append(clients, c)
		}
		var tab *websocket.Conn
		if atWork {
			tab = openSocket(t, l, s)
		}
		began := time.Now()
		c := h.Start(t, rig.Call{Args: []string{"set", "offline", "--drain", rig.Patience.String(), "--json"}})
		drained := 0
		if atWork {
			drained = aRequest
			c.Says(t, "draining: ")
			if err := exchange(l.ctx, tab); err != nil {
				t.Errorf("the tab was cut: %v", err)
			}
			tab.CloseNow()
		}
		got := receiptOf(t, c.Wait(t).Want(t, 0))
		got.counts(t, drained, 0, 0)
		got.closed(t, began, time.Now(), true)
		for _, one := range clients {
			if _, err := one.Read(make([]byte, 1)); err != io.EOF {
				t.Fatalf("at work %v: an idle client is still connected: %v", atWork, err)
			}
		}
		h.CLI(t, "set", "online").Want(t, 0)
	}
}
