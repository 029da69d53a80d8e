package host

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "docker-proxy" {
		beProxy(os.Args)
	}
	os.Exit(rig.Main(m))
}
