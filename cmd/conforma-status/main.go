// Command conforma-status puts a web application behind nginx into maintenance and back.
package main

import "os"

// Both are set by the linker.
var (
	version = "dev"
	commit  = "unknown"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}
