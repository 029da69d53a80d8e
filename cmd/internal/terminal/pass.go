package main

import "fmt"

const (
	helpPass     = "a short-lived link that lets its holder in while in admin mode"
	helpPassLong = `Print a link that lets its holder into a site that is in admin mode, for somebody who has no administrator's account. It is good
for --ttl, in this window of admin mode only, and as often as it is opened: whoever has it is let in. What stands behind the #
of the link is its secret, which no server sees in an address and no log holds. The gate logs each admission with the pass's name.

--revoke ends all of a site's passes, and what they let in, at once.`
	helpOneSite   = "the site, by its name in the configuration"
	helpTTL       = "how long the pass is good: from 1m to 24h"
	helpRevoke    = "end all of the site's passes, and whom they let in"
	wordRevokeTTL = "--revoke and --ttl exclude each other"
	wordTTL       = "--ttl %q is not a duration from 1m to 24h"
	hintRevokeTTL = "revoke first, then make a new one"
	hintTTL       = "write it like 30m or 2h"
	hintNotAdmin  = "a pass is good in admin mode only, and in the window in which it was made: conforma-status set admin"
)

func (u *ui) passMade(p sitePass) {
	if u.json {
		u.document(siteDocument[sitePass]{1, []sitePass{p}})
		return
	}
	fmt.Fprintln(u.out, p.Link)
	fmt.Fprintf(u.err, "pass %s lets its holder into %s until %s; send it to nobody else, and end it with: conforma-status pass --revoke\n", p.Pass, p.Site, clock(p.ExpiresAt))
}

func (u *ui) passesRevoked(r revokedPasses) {
	switch {
	case u.json:
		u.document(siteDocument[revokedPasses]{1, []revokedPasses{r}})
	case r.Revoked:
		fmt.Fprintf(u.out, "%s: every pass is revoked, and whom it let in is out\n", r.Site)
	default:
		fmt.Fprintf(u.out, "%s: there was no pass to revoke\n", r.Site)
	}
}
