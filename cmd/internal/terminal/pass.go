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

// PassesMade prints the links of new passes.
func (t *Terminal) PassesMade(made []Pass) {
	if t.JSON {
		documentOf(t, made)
		return
	}
	for _, p := range made {
		fmt.Fprintln(t.Out, p.Link)
		fmt.Fprintf(t.Err, "pass %s lets its holder into %s until %s; send it to nobody else, and end it with: conforma-status pass --site %s --revoke\n", p.Pass, p.Site, clock(p.ExpiresAt), p.Site)
	}
}

// Revoked is what pass --revoke prints in JSON of a site.
type Revoked struct {
	Site    string `json:"site"`
	Revoked bool   `json:"revoked"` // false where no pass was made since the last time
}

// PassesRevoked says that the passes of sites are revoked.
func (t *Terminal) PassesRevoked(done []Revoked) {
	if t.JSON {
		documentOf(t, done)
		return
	}
	for _, r := range done {
		if r.Revoked {
			fmt.Fprintf(t.Out, "%s: every pass is revoked, and whoever they let in is shut out\n", r.Site)
		} else {
			fmt.Fprintf(t.Out, "%s: there was no pass to revoke\n", r.Site)
		}
	}
}
