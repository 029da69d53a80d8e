//go:build soak

package fleet

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/s3server"
	"github.com/msupply-foundation/conforma-status/status"
)

// pump has visitors at work all the time, through the balancer and at each machine, until t ends.
type pump struct {
	let, kept, failed atomic.Int64 // answers of applications, of nginx, and none
}

func (f *fleet) pump(t *testing.T) *pump {
	t.Helper()
	p := &pump{}
	at := []string{"http://" + balancer, "http://" + balancer, "http://" + balancer}
	for _, m := range f.machines {
		at = append(at, fmt.Sprintf("http://%s:%d", m.addr, sitePort))
	}
	paths := []string{"/application/1", "/slow", "/server/graphql?dev=x"}
	var wait sync.WaitGroup
	stop := make(chan struct{})
	for _, base := range at {
		keeps := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}, CheckRedirect: visitor.CheckRedirect} // on one connection
		wait.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(40 * time.Millisecond):
				}
				resp, err := keeps.Post(base+paths[i%len(paths)], "application/json", strings.NewReader(`{"query":"{x}"}`))
				switch {
				case err != nil:
					p.failed.Add(1)
					continue
				case resp.Header.Get("X-App") != "":
					p.let.Add(1)
				default:
					p.kept.Add(1)
				}
				resp.Body.Close()
			}
		})
	}
	t.Cleanup(func() {
		close(stop)
		wait.Wait()
	})
	return p
}

// reached is how many requests each application has got so far.
func (f *fleet) reached() (counts []int) {
	for _, m := range f.machines {
		counts = append(counts, m.App.Count())
	}
	return counts
}

// published is what visitors are told.
func (f *fleet) published() (d status.Document, err error) { return published(f.s3) }

func published(s3 *s3server.Server) (d status.Document, err error) {
	resp, err := visitor.Get(s3.Endpoint + "/maintenance/" + rig.SingleSite + "/" + status.FileName)
	if err != nil {
		return d, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return d, fmt.Errorf("it is answered by %s", resp.Status)
	}
	return d, json.NewDecoder(resp.Body).Decode(&d)
}

// watch sees until t ends that visitors are never told that the site is open while a machine refuses them. One that is
// shut by itself is left out: it says so to the balancer, or can tell nobody.
func (f *fleet) watch(t *testing.T) (looks *atomic.Int64) {
	t.Helper()
	stop, ended := make(chan struct{}), make(chan struct{})
	looks = &atomic.Int64{}
	look := func(m *machine) {
		byItself := m.isByItself()
		before, err := f.published()
		if err != nil || before.Mode != status.Online {
			return
		}
		got := m.visit()
		after, err := f.published()
		if err != nil || after.Seq != before.Seq || byItself || m.isByItself() || got == byNobody {
			return
		}
		looks.Add(1)
		if got == refused {
			t.Errorf("%s refuses visitors who are told %s (seq %d, order %d)", m.name, before.Mode, before.Seq, before.Order)
		}
	}
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(15 * time.Millisecond):
				look(f.machines[i%len(f.machines)])
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-ended
	})
	return looks
}
