// Command conforma-status puts a web application behind nginx into maintenance and back.
package main

import "os"

// version is set by the linker.
var version = "dev"

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}
