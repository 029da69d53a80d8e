package rig

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/msupply-foundation/conforma-status/status"
)

// watcher asks a site all the time, as visitors do, and reads its published status beside it. It notes whatever must
// never be seen.
type watcher struct {
	site   *Single
	stop   chan struct{}
	ended  chan struct{}
	client http.Client

	mu     sync.Mutex
	rules  WatchRules
	seen   int // answers of nginx
	faults []string
}

// WatchRules is what may be seen at the moment.
type WatchRules struct {
	Modes []status.Mode // what nginx may let in; shut is always right
	// Unannounced is set while the store can't be reached: what is published is then not compared.
	Unannounced bool
	// AdminShut is set while a site may be found shut that is announced as admin: on the way there it drains.
	AdminShut bool
	// StaysShut is set once a closed file has to stay.
	StaysShut bool
}

// visits are the requests of the watcher, with the least open mode that lets each in.
var visits = []struct {
	target string
	least  status.Mode
}{
	{"/server/graphql?dev=x", status.Online},
	{"/login", status.Admin},
}

// Watch begins to watch over a site by the given rules.
func Watch(site *Single, rules WatchRules) *watcher {
	w := &watcher{site: site, rules: rules, stop: make(chan struct{}), ended: make(chan struct{})}
	w.client = http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		Timeout:       Patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	go func() {
		defer close(w.ended)
		for {
			select {
			case <-w.stop:
				return
			case <-time.After(20 * time.Millisecond):
				w.look()
			}
		}
	}()
	return w
}

// Allow replaces the rules.
func (w *watcher) Allow(r WatchRules) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rules = r
}

// End ends the watch and returns what was wrong.
func (w *watcher) End() []string {
	close(w.stop)
	<-w.ended
	return w.faults
}

// look sends each visit once. What was there before and after it was there during it: the closed file is told by its
// inode and time, a document by its sequence number.
func (w *watcher) look() {
	if resp, err := w.client.Get(w.site.URL + "/.conforma-status/health"); err == nil {
		resp.Body.Close()
		// Rules of an earlier release answer as a closed site does.
		if resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("X-Conforma-Status") == "" {
			w.mu.Lock()
			w.fault("a load balancer is told that the site can't be served")
			w.mu.Unlock()
		}
	}
	for _, v := range visits {
		w.mu.Lock()
		rules := w.rules
		w.mu.Unlock()
		closed, published := w.ClosedFile(), w.published()
		req, err := http.NewRequest(http.MethodGet, w.site.URL+v.target, nil)
		if err != nil {
			panic(err)
		}
		req.Header.Set("Accept", "text/html")
		req.Header.Set("Sec-Fetch-Mode", "navigate")
		resp, err := w.client.Do(req)
		if err != nil {
			continue // nobody got in
		}
		resp.Body.Close()
		in := resp.Header.Get("X-App") != ""
		closedStill, publishedStill := w.ClosedFile(), w.published()
		w.mu.Lock()
		w.seen++
		if rules.equal(w.rules) {
			w.judge(v.target, v.least, in, closed != "" && closed == closedStill, same(published, publishedStill))
			if rules.StaysShut && closedStill == "" {
				w.fault("the closed file is gone")
			}
		}
		w.mu.Unlock()
	}
}

func (r WatchRules) equal(o WatchRules) bool {
	return slices.Equal(r.Modes, o.Modes) && r.Unannounced == o.Unannounced && r.AdminShut == o.AdminShut && r.StaysShut == o.StaysShut
}

// judge compares one answer with the rules; published is nil where it changed meanwhile or there is none.
func (w *watcher) judge(target string, least status.Mode, in, shut bool, published *status.Document) {
	if in && shut {
		w.fault("%s was let in while the closed file was there", target)
	}
	// Of two modes the stricter is the one that lets less in; least lets the visit in, and what is more open too.
	lets := func(m status.Mode) bool { return !m.StricterThan(least) }
	if in && !slices.ContainsFunc(w.rules.Modes, lets) {
		w.fault("%s was let in, allowed are %v", target, w.rules.Modes)
	}
	if published == nil || w.rules.Unannounced || in || !lets(published.Mode) {
		return
	}
	if published.Mode == status.Admin && w.rules.AdminShut {
		return
	}
	w.fault("%s was refused while %s (seq %d) was published", target, published.Mode, published.Seq)
}

func (w *watcher) fault(format string, args ...any) {
	if len(w.faults) < 10 {
		w.faults = append(w.faults, fmt.Sprintf(format, args...))
	}
}

func (w *watcher) ClosedFile() string {
	info, err := os.Stat(w.site.ClosedFile())
	if err != nil {
		return ""
	}
	return fmt.Sprint(info.Sys().(*syscall.Stat_t).Ino, info.ModTime())
}

func (w *watcher) published() *status.Document {
	data, err := os.ReadFile(w.site.StatusFile())
	if err != nil {
		return nil
	}
	var d status.Document
	if err := json.Unmarshal(data, &d); err != nil {
		return nil
	}
	return &d
}

func same(a, b *status.Document) *status.Document {
	if a == nil || b == nil || a.Seq != b.Seq || a.Mode != b.Mode {
		return nil
	}
	return a
}
