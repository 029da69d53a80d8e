//go:build crashpoints

package maintenance

import (
	"os"
	"syscall"
)

// crashpoint ends the process, as kill -9 would, at the point that CONFORMA_STATUS_CRASH names, as in
// "before:reload". It is in binaries built for the tests only.
func crashpoint(when string, step Step) {
	if os.Getenv("CONFORMA_STATUS_CRASH") == when+":"+string(step) {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}
