//go:build soak

package modes

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// setMeanwhile closes the site while the application is at work on 50 requests of one connection, and lets it end them
// then: all are waited for, and answered.
func setMeanwhile(t *testing.T, s *rig.Single, app *counting, visitor rig.Client, mode string) {
	t.Helper()
	const streams = 50
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	transport, scheme := &http.Transport{TLSClientConfig: visitor.TLS.Clone(), Protocols: new(http.Protocols)}, "https"
	if transport.Protocols.SetHTTP2(true); visitor.TLS == nil {
		transport.Protocols.SetUnencryptedHTTP2(true)
		scheme = "http"
	}
	conn, err := transport.NewClientConn(ctx, scheme, visitor.Addr)
	rig.Check(t, err)
	defer conn.Close()
	answers := make(chan string, streams)
	call := func() string {
		req, err := http.NewRequestWithContext(ctx, "POST", scheme+"://"+visitor.Host+heldPath, strings.NewReader("call"))
		if err != nil {
			return err.Error()
		}
		req.Header.Set("Content-Type", "application/grpc")
		req.Header.Set("TE", "trailers")
		res, err := conn.RoundTrip(req)
		if err != nil {
			return err.Error()
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		return fmt.Sprintf("%d %s %v", res.StatusCode, body, err)
	}
	for range streams {
		go func() { answers <- call() }()
	}
	rig.WaitFor(t, "the calls to be under way", func() bool { return app.held.Load() == streams })
	set := s.Start(t, rig.Call{Args: []string{"set", mode, "--drain", "1m"}})
	rig.WaitFor(t, "the site to be shut", func() bool { return rig.ClosedFileIsThere(s) })
	for range streams - 1 {
		app.release <- struct{}{}
		if got := <-answers; got != "200 ok <nil>" {
			t.Errorf("%s: a call from before gets %s", mode, got)
		}
	}
	time.Sleep(300 * time.Millisecond) // no signal says that something doesn't end
	if set.Ended() {
		t.Errorf("%s: the command doesn't wait for the last call", mode)
	}
	app.release <- struct{}{}
	if got := <-answers; got != "200 ok <nil>" {
		t.Errorf("%s: the last call from before gets %s", mode, got)
	}
	set.Wait(t).Want(t, 0)
	if came, done := app.came.Load(), app.done.Load(); came != done {
		t.Errorf("%s: the application is still at work on %d requests", mode, came-done)
	}
	if got := call(); got == "200 ok <nil>" {
		t.Errorf("%s: a call on the old connection is answered", mode)
	}
}
