//go:build soak

package closing

import "testing"

func TestSoakWorkerThatIsStoppedLetsNothingThrough(t *testing.T) {
	t.Parallel()
	workerThatIsStopped(t, "admin")
}

func TestSoakUpgradedNginx(t *testing.T) {
	t.Parallel()
	upgradedNginx(t, "admin")
}
