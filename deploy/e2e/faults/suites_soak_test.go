//go:build soak

package faults

import (
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/status"
)

// These have what make test leaves out of the tables of those names.

func TestSoakNginxFaultTable(t *testing.T) { nginxFaultTable(t, rig.Without(usualNginxFaults...)) }

func TestSoakDiskFaultTable(t *testing.T) { diskFaultTable(t, rig.Without(usualDiskFaults...)) }

func TestSoakPermissionFaultTable(t *testing.T) {
	permissionFaultTable(t, rig.Without(usualPermissionFaults...))
}

func TestSoakDiskFullDuringRollback(t *testing.T) {
	diskFullDuringRollback(t, rig.Without(usualRollbacks...))
}

func TestSoakInterruptedWhileNginxWorks(t *testing.T) {
	interruptedCommands(t, rig.Without(usualInterrupts...))
}

func TestSoakAnOpeningThatIsInterruptedIsUndone(t *testing.T) { interruptedOpenings(t, 4) }

func TestSoakReconcileMends(t *testing.T) { reconcileMends(t, status.Online, status.Offline) }
