//go:build soak

package fleet

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// gateway stands before the S3 server, and has things go wrong on the way.
type gateway struct {
	s3 *httputil.ReverseProxy

	mu   sync.Mutex
	rng  *rand.Rand
	does weather
}

// weather is what a gateway does to requests.
type weather int

const (
	fair   weather = iota
	away           // nobody gets through
	late           // answers, or what is written, come up to half a second later, whether or not somebody still waits
	losing         // of four requests one, or its answer, is lost; some are sent twice
)

func newGateway(t *testing.T, endpoint string, chance *rig.Chance) *gateway {
	t.Helper()
	to, err := url.Parse(endpoint)
	rig.Check(t, err)
	return &gateway{
		rng: rand.New(rand.NewPCG(uint64(chance.IntN(1<<30)), 0)),
		s3: &httputil.ReverseProxy{
			Rewrite:      func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", to.Host }, // the Host that was signed stays
			ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		},
	}
}

// set changes the weather.
func (g *gateway) set(does weather) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.does = does
}

// cast is the weather now, and a number up to n.
func (g *gateway) cast(n int) (weather, int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.does, g.rng.IntN(n)
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	forward := func(w http.ResponseWriter) {
		again := r.Clone(context.WithoutCancel(r.Context())) // what is on its way arrives
		again.Body = io.NopCloser(bytes.NewReader(body))
		g.s3.ServeHTTP(w, again)
	}
	does, n := g.cast(1000)
	wait := time.Duration(n) * time.Millisecond / 2
	switch {
	case does == away && n < 500:
		panic(http.ErrAbortHandler)
	case does == away: // a firewall that says nothing
		select {
		case <-r.Context().Done():
		case <-time.After(time.Second):
		}
		panic(http.ErrAbortHandler)
	case does == late && n%2 == 0:
		time.Sleep(wait)
	case does == late:
		answer := httptest.NewRecorder()
		forward(answer)
		time.Sleep(wait)
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
		return
	case does == losing && n < 125:
		panic(http.ErrAbortHandler)
	case does == losing && n < 250:
		forward(httptest.NewRecorder())
		panic(http.ErrAbortHandler)
	case does == losing && n < 300:
		forward(httptest.NewRecorder())
	}
	forward(w)
}
