// Package e2e holds the tests of conforma-status as a whole: the built binary, a real nginx, a real S3
// server and a real browser, on loopback. They are a module of their own so that what only they need
// never reaches the product's go.mod. The scripts in scripts/ are run by testscript.
package e2e
