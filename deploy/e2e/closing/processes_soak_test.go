//go:build soak

package closing

import "testing"

func TestSoakWorkerThatIsStoppedLetsNothingThrough(t *testing.T) {
	t.Parallel()
	workerThatIsStopped(t, "admin")
}

// TestSoakUpgradedNginx has two generations of nginx serve a site, as in an upgrade that isn't finished or that went
// wrong.
func TestSoakUpgradedNginx(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"offline", "admin"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			upgradedNginx(t, mode)
		})
	}
}
