package barrier

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// shape is a host on which something is on its way to the application, or finds one, while its site is closed.
type shape struct {
	name string
	// http, server and main are lines of nginx's configuration; see host.words. DNS is a server that answers when
	// traffic.later is called, and PORT a free port.
	http, server, main string
	user               string // of nginx's workers, default that of the rig
	grace, site        string // of config.toml
	drain              string // default 500ms
	answersAt          string // where the site has to answer after it opened, default "/"
	// during has something be on its way when the site closes.
	during func(t *testing.T, x *traffic)
	// knock tries to get through once the command has returned; it may be nil.
	knock func(t *testing.T, x *traffic)

	with, without outcome
	cuts          bool // a neighbour may be cut, by nginx itself
	vouched       bool // the application's own word is asked for
	held          bool // nginx still holds a request when the site is safe, which the kernel has to refuse
}

// outcome is what comes of a closing. Nothing reaches the application after an exit code of 0 or 3, but where leaks is
// set: there the barrier is what is needed.
type outcome struct {
	codes []int
	leaks bool
}

// traffic is what a shape sends.
type traffic struct {
	*host
	port    int
	dns     *nameServer
	with    bool // the barrier
	cleanup []func()
	after   []func() // once set has returned
}

// ends has something done when the shape was tried.
func (x *traffic) ends(do func()) { x.cleanup = append(x.cleanup, do) }

// later has something done once the command has returned.
func (x *traffic) later(do func()) { x.after = append(x.after, do) }

// knock tries to get through by the free port.
func (x *traffic) knock() {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: rig.Patience}
	if r, err := client.Get("http://" + rig.Loopback(x.port)); err == nil { // what doesn't answer keeps the door shut
		r.Body.Close()
	}
}

// send sends a request on a connection of its own, and returns when nginx has read it.
func (x *traffic) send(t *testing.T, m rig.Message) *rig.Conn {
	t.Helper()
	c := x.Client().Dial(t)
	x.ends(func() { c.Close() })
	c.Send(t, m)
	c.Taken(t)
	return c
}

// reset ends a connection so that the kernel forgets it.
func reset(t *testing.T, c *rig.Conn) {
	t.Helper()
	if err := c.Conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// arrived waits until so many requests in all have reached the application.
func (x *traffic) arrived(t *testing.T, n int) {
	t.Helper()
	rig.WaitFor(t, "the request to arrive", func() bool { return x.App.Count() >= n })
}

// try closes the site while the shape's traffic is on its way, with the barrier or without, and opens it again.
func (s shape) try(t *testing.T, h *host, with bool) {
	want := s.without
	c := rig.Settings{Grace: s.grace, Site: h.words(s.site), Top: `barrier = "off"`}
	if with {
		want, c.Top = s.with, ""
	}
	h.settings(t, c)
	x := &traffic{host: h, port: rig.Port(t), dns: newNameServer(t), with: with}
	words := func(text string) string {
		return strings.NewReplacer("PORT", fmt.Sprint(x.port), "DNS", fmt.Sprintf("resolver %s ipv6=off", x.dns.addr())).Replace(h.words(text))
	}
	h.Nginx.Stop(t)
	if s.user != "" {
		h.Nginx.User = s.user
	}
	h.Server = words(s.server)
	rig.WriteFile(t, h.Enabled("shape.conf"), words(s.http)+"\n")
	h.WriteNginx(t)
	if s.main != "" {
		conf, err := os.ReadFile(h.Nginx.Conf)
		rig.Check(t, err)
		rig.WriteFile(t, h.Nginx.Conf, words(s.main)+"\n"+string(conf))
	}
	h.Nginx.Start(t)
	defer func() {
		for _, do := range x.cleanup {
			do()
		}
	}()
	still := h.talk(t)
	if s.during != nil {
		s.during(t, x)
	}
	r := h.CLI(t, "set", "offline", "--drain", cmp.Or(s.drain, "500ms"), "--json")
	returned, n := time.Now(), h.App.Count()
	if r.Code == 1 && slices.Contains(want.codes, 1) {
		return // it was refused, and nothing is closed
	}
	got := receiptOf(t, r)
	t.Logf("exit code %d, drained %d, cut %d, left %d, safe %v, %q", r.Code, got.Drained, got.Cut, got.Left, got.SafeSince != nil, got.Warnings)
	if !slices.Contains(want.codes, r.Code) || got.Barrier != with || (got.SafeSince != nil) != (r.Code == 0) || r.Code == 0 && got.Vouched != s.vouched {
		t.Errorf("exit code %d, want %v: %+v\n%s", r.Code, want.codes, got, r.Stderr)
	}
	for _, do := range x.after {
		do()
	}
	if s.knock != nil {
		s.knock(t, x)
	}
	if s.held && with {
		rig.WaitFor(t, "the kernel to refuse what nginx held", func() bool { return h.view(t, "demo", 0).Kernel.Tried.Nginx > 0 })
	} else if len(x.after) > 0 {
		time.Sleep(300 * time.Millisecond) // no signal says that something doesn't come
	}
	switch late := h.App.Since(n); {
	case len(late) > 0 && !want.leaks && (r.Code == 0 || with):
		t.Errorf("after the return came %d, first %s %s", len(late), late[0].Method, late[0].URI)
	case len(late) == 0 && want.leaks:
		t.Error("nothing gets through without the barrier: it proves nothing")
	}
	for _, one := range h.App.Requests() {
		if r.Code == 0 && strings.HasPrefix(one.URI, slowPath) && one.Received.Before(returned) && s.worksAfter(one, returned) {
			t.Errorf("the application was still at work on %s after the return", one.URI)
		}
	}
	if with && !s.cuts {
		still()
	}
	h.CLI(t, "set", "online").Want(t, 0)
	h.answers(t, cmp.Or(s.answersAt, "/"))
}

// worksAfter reports whether the application is at work on a request after that moment. Where it isn't asked, it has
// the time that the request says: how late a busy machine lets it go on doesn't count.
func (s shape) worksAfter(r rig.Request, moment time.Time) bool {
	if s.vouched {
		return r.Finished.IsZero() || r.Finished.After(moment)
	}
	_, ms, _ := strings.Cut(r.URI, "?ms=")
	takes, err := time.ParseDuration(ms + "ms")
	return err != nil || r.Received.Add(takes).After(moment)
}

func tryShapes(t *testing.T, shapes []shape) {
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			rig.NeedBarrier(t)
			h := newHost(t)
			h.CLI(t, "render").Want(t, 0)
			for _, with := range []bool{true, false} {
				if !t.Run(map[bool]string{true: "with the barrier", false: "without"}[with], func(t *testing.T) { s.try(t, h, with) }) {
					return // the site may be closed still
				}
			}
		})
	}
}
