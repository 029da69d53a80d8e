package closing

import (
	"fmt"
	"os"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(idleEnv); addr != "" {
		if err := holdIdle(addr); err != nil {
			fmt.Fprintln(os.Stderr, "idle clients:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(rig.Main(m))
}
