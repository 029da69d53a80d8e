//go:build soak

package host

import (
	"fmt"
	"testing"
)

// TestSoakNginxBehindABridge has nginx reach the application by a port that is published on the machine, and closes
// the site from each mode.
func TestSoakNginxBehindABridge(t *testing.T) {
	t.Parallel()
	newBridged(t, fmt.Sprint(gateway, ":", appPublished)).switches(t, "offline", "admin", "offline", "online", "admin", "offline", "online")
}
