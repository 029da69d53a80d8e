//go:build !crashpoints

package maintenance

// crashpoint is where a test build can end the process at once; see crash_on.go.
func crashpoint(string, Step) {}
