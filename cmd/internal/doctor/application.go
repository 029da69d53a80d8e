package doctor

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
)

// presetSocket is where the front ends of the presets have a WebSocket open for as long as they are.
var presetSocket = map[string]string{"conforma": "/websocket/server-status"}

// webSockets checks that nginx hands the front end's WebSocket on, and that somebody can vouch for the application
// after a WebSocket was cut. conf is nil where nginx's configuration can't be read.
func (e *examination) webSockets(s config.Site, conf *operator.Config) {
	path, has := presetSocket[s.Preset]
	file := e.rulesOf(s)
	if has && conf != nil {
		without := conf.NoUpgrade(file, path)
		for _, at := range without {
			e.warn(checkWebSockets, fmt.Sprintf("the location at %s hands on no WebSocket: the front end takes that for a server that is gone, and sends everybody "+
				"away after half a minute", at), hintUpgrade(s))
		}
		if len(without) == 0 {
			e.ok(checkWebSockets, "they are handed on")
		}
	}
	const cuts = "a closing has to cut those that are open, and then ends in exit code 4, not safe to snapshot"
	handedOn := conf != nil && conf.HasUpgrade(file)
	switch {
	case len(s.Settled) > 0:
		e.ok(checkSettled, "the site has a command that vouches for the application")
	case has && conf != nil && !handedOn:
		e.warn(checkSettled, "there is none. Once nginx hands the front end's WebSockets on, "+cuts, hintSettled)
	case has || handedOn:
		e.warn(checkSettled, "the site has WebSockets and no settled command: "+cuts, hintSettled)
	default:
		e.ok(checkSettled, "there is none, and no WebSocket that would need one")
	}
}

const hintSettled = "name a command that exits 0 once the application is idle: conforma-status init prints one for Conforma, " +
	"/usr/share/conforma-status/settled-postgres.sh says how it is called"

func hintUpgrade(s config.Site) string {
	to := "ADDRESS"
	if len(s.Upstreams) > 0 {
		to = s.Upstreams[0]
	}
	return fmt.Sprintf(`add to that server {}: location /websocket/ { proxy_pass http://%s; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; }`, to)
}

// cachedPages sees whether a browser may show the site's page without asking nginx: a site that is closed looks open
// then, until the first query fails.
func (e *examination) cachedPages(ctx context.Context, s config.Site) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	page, err := e.Host.FetchPage(ctx, maintenance.Target(s), "/", "")
	switch why := ""; {
	case err != nil:
		e.warn(checkCachedPages, err.Error(), "see that nginx answers at the site's listen")
	case page.Maintenance != "":
		e.ok(checkCachedPages, "can be told only while the site is online")
	case page.Status != http.StatusOK || !strings.HasPrefix(page.Header.Get("Content-Type"), "text/html"):
		e.ok(checkCachedPages, fmt.Sprintf("/ is no page: %d, %q", page.Status, page.Header.Get("Content-Type")))
	default:
		if why = keptWithoutAsking(page.Header, e.Now()); why == "" {
			e.ok(checkCachedPages, "browsers ask for the site's page each time")
			break
		}
		e.warn(checkCachedPages, "browsers may show the site's page without asking nginx: "+why+". Who opens it while it is closed sees it fail, not the maintenance page",
			`send it with "Cache-Control: no-cache": OPERATIONS.md, "Pages that browsers keep", has the lines for nginx`)
	}
}

// keptWithoutAsking says why a browser may use an answer again without asking, "" where it may not: it has a lifetime
// (RFC 9111, 4.2.1), or a date to guess one from (4.2.2).
func keptWithoutAsking(h http.Header, now time.Time) string {
	for directive := range strings.SplitSeq(strings.ToLower(strings.Join(h.Values("Cache-Control"), ",")), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch name {
		case "no-cache", "no-store":
			if value == "" { // with one it is about single headers
				return ""
			}
		case "max-age":
			if n, err := strconv.Atoi(strings.Trim(value, `"`)); err == nil && n > 0 {
				return "Cache-Control: " + directive
			}
			return ""
		}
	}
	if expires := h.Get("Expires"); expires != "" {
		if at, err := http.ParseTime(expires); err == nil && at.After(now) {
			return "Expires: " + expires
		}
		return ""
	}
	if h.Get("Last-Modified") != "" {
		return "it has a Last-Modified and no Cache-Control"
	}
	return ""
}
