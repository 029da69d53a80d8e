package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/status"
)

const (
	// What visitors are told while the tour has the site closed.
	tourETA     = "30m"
	tourMessage = "We are upgrading the demo. Everything that was saved is kept."
	// What is saved at the application.
	tourApplication = "Renewal of a manufacturing licence"
	// After a reload, an old worker of nginx may still answer for a moment. Its rules are stricter on the way to a more
	// open mode: so what has to be let in is tried again, and what has to be refused is not.
	tourSettles = patience
)

// What the tour looks at in several modes.
const (
	checkRedirected = "a navigation is redirected to the maintenance page"
	checkPage       = "the maintenance page is served"
	checkStatus     = "status.json says so, in the store and from nginx"
	checkGet        = "conforma-status get finds no drift"
)

// stage is one step of the tour: a mode, and what must be true in it.
type stage struct {
	mode   status.Mode
	args   []string // of conforma-status
	checks []check
}

// check is one thing that must be true.
type check struct {
	what string
	look func(context.Context) error // says what differs, nil if nothing does
	soon bool                        // whether it may take a moment to become true
}

// tour is what the stages have to remember of each other.
type tour struct {
	*demo
	guest, user, admin *visitor
	saved              int // how many applications the application must have
}

func newTour(d *demo) *tour {
	return &tour{
		demo: d, saved: len(d.app.all()),
		guest: &visitor{app: d.appURL}, user: &visitor{app: d.appURL}, admin: &visitor{app: d.appURL},
	}
}

func (t *tour) stages() []stage {
	return []stage{
		{status.Online, []string{"get"}, t.onlineChecks()}, // as every site is before its first change
		{status.Offline, []string{"set", "offline", "--eta", tourETA, "--message", tourMessage}, t.offlineChecks()},
		{status.Admin, []string{"set", "admin"}, t.adminChecks()},
		{status.Online, []string{"set", "online"}, t.onlineChecks()},
	}
}

// walk takes all the stages and returns how many checks there were and what differed. The error is of a stage that
// could not be reached, or of ctx.
func (t *tour) walk(ctx context.Context) (looked int, differed []string, err error) {
	for _, s := range t.stages() {
		t.terminal.DemoStage(s.mode)
		if err := t.command(ctx, s.args...); err != nil {
			return looked, differed, err
		}
		for _, c := range s.checks {
			err := t.look(ctx, c)
			if ctx.Err() != nil {
				return looked, differed, context.Cause(ctx)
			}
			looked++
			line := fmt.Sprintf("%s: %s", s.mode, c.what)
			t.terminal.DemoCheck(line, err)
			if err != nil {
				differed = append(differed, fmt.Sprintf("%s: %v", line, err))
			}
		}
	}
	return looked, differed, nil
}

func (t *tour) look(ctx context.Context, c check) error {
	if !c.soon {
		return c.look(ctx)
	}
	return eventually(ctx, tourSettles, func() error { return c.look(ctx) })
}

func (t *tour) onlineChecks() []check {
	return []check{
		{"a navigation reaches the application", func(ctx context.Context) error { return t.opens(ctx, t.appURL+"/") }, true},
		{"a query is answered", func(ctx context.Context) error { return t.answers(ctx, t.guest) }, true},
		{"a save is accepted", func(ctx context.Context) error { return t.keeps(ctx, t.guest) }, true},
		{"the application has everything that was saved, and nothing else", func(context.Context) error { return t.counted() }, false},
		{checkPage, func(ctx context.Context) error { return t.opens(ctx, t.pageURL) }, false},
		{checkStatus, func(ctx context.Context) error { return t.told(ctx, status.Online) }, false},
		{checkGet, t.agrees, true},
	}
}

func (t *tour) offlineChecks() []check {
	reached := 0
	return []check{
		{checkRedirected, func(ctx context.Context) error {
			reached = t.app.arrived()
			return t.redirected(ctx, t.appURL+"/")
		}, false},
		{"the login page is shut, too", func(ctx context.Context) error { return t.redirected(ctx, t.appURL+"/login") }, false},
		{checkPage, func(ctx context.Context) error { return t.opens(ctx, t.pageURL) }, false},
		{"a query gets a 503 that a script can read", func(ctx context.Context) error { return t.queryRefused(ctx, t.guest, status.Offline) }, false},
		{"a save gets a 503, and nothing is written", func(ctx context.Context) error { return t.saveRefused(ctx, t.guest, status.Offline) }, false},
		{"nothing of all this reached the application", func(context.Context) error {
			return sameNumber("requests at the application", t.app.arrived(), reached)
		}, false},
		{checkStatus, func(ctx context.Context) error { return t.told(ctx, status.Offline) }, false},
		{checkGet, t.agrees, true},
	}
}

func (t *tour) adminChecks() []check {
	return []check{
		{"the login page is open", func(ctx context.Context) error { return t.opens(ctx, t.appURL+"/login") }, true},
		{"so are the files that it needs", func(ctx context.Context) error {
			a, err := fetch(ctx, t.appURL+"/assets/app.js")
			return firstOf(err, func() error { return a.isOpen("text/javascript") })
		}, true},
		{checkRedirected, func(ctx context.Context) error { return t.redirected(ctx, t.appURL+"/") }, false},
		{"a query without a token gets a 503", func(ctx context.Context) error { return t.queryRefused(ctx, t.guest, status.Admin) }, false},
		{"a user can log in", func(ctx context.Context) error { return t.user.signIn(ctx, "user") }, true},
		{"a query with the user's token gets a 503", func(ctx context.Context) error { return t.queryRefused(ctx, t.user, status.Admin) }, false},
		{"a save with it gets a 503, and nothing is written", func(ctx context.Context) error { return t.saveRefused(ctx, t.user, status.Admin) }, false},
		{"an administrator can log in", func(ctx context.Context) error { return t.admin.signIn(ctx, "admin") }, true},
		{"a query with the administrator's token is answered", func(ctx context.Context) error { return t.answers(ctx, t.admin) }, true},
		{"a save with it is accepted", func(ctx context.Context) error { return t.keeps(ctx, t.admin) }, true},
		{checkStatus, func(ctx context.Context) error { return t.told(ctx, status.Admin) }, false},
		{checkGet, t.agrees, true},
	}
}

// opens expects a navigation to be answered with a page.
func (t *tour) opens(ctx context.Context, url string) error {
	a, err := navigate(ctx, url)
	return firstOf(err, func() error { return a.isOpen("text/html") })
}

// redirected expects a navigation to be sent to the maintenance page, for now only.
func (t *tour) redirected(ctx context.Context, url string) error {
	a, err := navigate(ctx, url)
	page := t.pageURL
	if at := strings.TrimPrefix(url, t.appURL); at != "/" { // it brings back there
		page += "#at=" + at
	}
	return firstOf(err,
		func() error { return sameNumber("status", a.code, http.StatusFound) },
		func() error { return a.hasHeader("Location", page) },
		func() error { return a.hasHeader("Cache-Control", "no-store") },
	)
}

// answers expects the application to answer a query.
func (t *tour) answers(ctx context.Context, v *visitor) error {
	a, err := v.query(ctx)
	return firstOf(err, func() error { return a.isOpen("application/json") })
}

// keeps expects the application to save something.
func (t *tour) keeps(ctx context.Context, v *visitor) error {
	a, err := v.save(ctx, tourApplication)
	return firstOf(err,
		func() error { return a.isOpen("application/json") },
		func() error { t.saved++; return t.counted() },
	)
}

// counted expects the application to have all that was saved and nothing else.
func (t *tour) counted() error { return sameNumber("saved", len(t.app.all()), t.saved) }

func (t *tour) queryRefused(ctx context.Context, v *visitor, mode status.Mode) error {
	a, err := v.query(ctx)
	return t.refused(a, err, mode)
}

func (t *tour) saveRefused(ctx context.Context, v *visitor, mode status.Mode) error {
	a, err := v.save(ctx, tourApplication)
	return firstOf(t.refused(a, err, mode), t.counted)
}

// refused expects the 503 of a closed site, which a script can read.
func (t *tour) refused(a answer, err error, mode status.Mode) error {
	var body struct {
		Error, Mode, PageURL string
		Errors               []struct{ Extensions struct{ Code string } }
	}
	return firstOf(err,
		func() error { return sameNumber("status", a.code, http.StatusServiceUnavailable) },
		func() error { return a.hasType("application/json") },
		func() error { return a.hasHeader("Retry-After", "60") },
		func() error { return a.hasHeader("Cache-Control", "no-store") },
		func() error { return json.Unmarshal(a.body, &body) },
		func() error { return sameText("error", body.Error, "maintenance") },
		func() error { return sameText("mode", body.Mode, string(mode)) },
		func() error { return sameText("pageUrl", body.PageURL, t.pageURL) },
		func() error { return sameNumber("errors", len(body.Errors), 1) },
		func() error {
			return sameText("errors[0].extensions.code", body.Errors[0].Extensions.Code, "MAINTENANCE")
		},
	)
}

// told expects the status in the store to be that of the mode, and that which nginx gives as well.
func (t *tour) told(ctx context.Context, mode status.Mode) error {
	for _, url := range []string{t.pageURL + status.FileName, t.appURL + nginxconf.StatusPath} {
		d, err := t.status(ctx, url)
		if err == nil {
			err = t.says(d, mode)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", url, err)
		}
	}
	return nil
}

// says expects a document to tell what the tour has announced, and nothing once the site is open.
func (t *tour) says(d status.Document, mode status.Mode) error {
	message := "none"
	if d.Message != nil {
		message = *d.Message
	}
	want := "none"
	if mode.Closed() {
		want = tourMessage
	}
	return firstOf(sameText("mode", string(d.Mode), string(mode)),
		func() error { return sameText("message", message, want) },
		func() error { return sameText("pageUrl", d.PageURL, t.pageURL) },
		func() error {
			if mode.Closed() != (d.ExpectedUntil != nil) {
				return fmt.Errorf("expectedUntil is %v", d.ExpectedUntil)
			}
			return nil
		},
	)
}

// status returns a status document that any page may read and that no cache keeps.
func (t *tour) status(ctx context.Context, url string) (status.Document, error) {
	a, err := fetch(ctx, url)
	err = firstOf(err,
		func() error { return a.isOpen("application/json") },
		func() error { return a.hasHeader("Cache-Control", "no-cache") },
		func() error { return a.hasHeader("Access-Control-Allow-Origin", "*") },
	)
	if err != nil {
		return status.Document{}, err
	}
	return status.Parse(a.body)
}

// agrees expects conforma-status get to find that wanted, disk, nginx and store agree.
func (t *tour) agrees(ctx context.Context) error {
	code, said, err := t.run(ctx, "get")
	return firstOf(err, func() error {
		if code != 0 {
			return fmt.Errorf("exit code %d, want 0\n%s", code, said)
		}
		return nil
	})
}
