package terminal

import (
	"fmt"
	"time"
)

// Pass is what pass prints in JSON of a new pass. Its link is a secret.
type Pass struct {
	Site      string    `json:"site"`
	Pass      string    `json:"pass"` // its name in the gate's log
	Link      string    `json:"link"`
	ExpiresAt time.Time `json:"expiresAt"` // in UTC
}

// PassMade prints the link of a new pass.
func (t *Terminal) PassMade(p Pass) {
	if t.JSON {
		t.document(siteDocument[Pass]{1, []Pass{p}})
		return
	}
	fmt.Fprintln(t.Out, p.Link)
	fmt.Fprintf(t.Err, "pass %s lets its holder into %s until %s; send it to nobody else, and end it with: conforma-status pass --revoke\n", p.Pass, p.Site, clock(p.ExpiresAt))
}

// PassesRevoked says that a site's passes are revoked. None was made since the last time where had is false.
func (t *Terminal) PassesRevoked(site string, had bool) {
	type revoked struct {
		Site    string `json:"site"`
		Revoked bool   `json:"revoked"`
	}
	switch {
	case t.JSON:
		t.document(siteDocument[revoked]{1, []revoked{{site, had}}})
	case had:
		fmt.Fprintf(t.Out, "%s: every pass is revoked, and whom it let in is out\n", site)
	default:
		fmt.Fprintf(t.Out, "%s: there was no pass to revoke\n", site)
	}
}
