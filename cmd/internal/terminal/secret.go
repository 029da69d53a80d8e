package main

import "fmt"

const (
	helpSecret         = "the secret that a site's application and the gate share"
	helpSecretInit     = "write a strong JWT_SECRET to the site's env file, once"
	helpSecretInitLong = `Write a JWT_SECRET of 32 random bytes to the site's env file (0600), for the application and the gate both, where there is
none. A secret that is there is never replaced: everyone who is logged in would be signed out.`
	hintSecretDir = "make the directory first, or name the right file in [site.jwt]"
)

func (u *ui) secretMade(site, path string, made bool) {
	if made {
		fmt.Fprintf(u.out, "%s: wrote a new secret to %s; start the application anew with it\n", site, path)
	} else {
		fmt.Fprintf(u.out, "%s: there is a good secret in %s already\n", site, path)
	}
}
