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

// PassKeyMade says what was done about the key of a site's passes.
func (t *Terminal) PassKeyMade(site, path string, made bool) {
	if made {
		fmt.Fprintf(t.Out, "%s: wrote a key for its passes to %s; it can go to admin mode now: conforma-status set admin, then conforma-status pass\n", site, path)
	} else {
		fmt.Fprintf(t.Out, "%s: there is a good key for its passes in %s already\n", site, path)
	}
}

// FirstPass says that the first pass of a site may be used a little later than others.
func (t *Terminal) FirstPass(site string) {
	fmt.Fprintf(t.Err, "%s has a key for its passes from now on; the gate takes it up within a few seconds\n", site)
}
