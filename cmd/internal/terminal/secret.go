package terminal

import "fmt"

// SecretMade says what was done about the secret of a site.
func (t *Terminal) SecretMade(site, path string, made bool) {
	if made {
		fmt.Fprintf(t.Out, "%s: wrote a new secret to %s; start the application anew with it\n", site, path)
	} else {
		fmt.Fprintf(t.Out, "%s: there is a good secret in %s already\n", site, path)
	}
}
