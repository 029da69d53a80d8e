//go:build !linux

package barrier

import (
	"context"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// Only Linux has nf_tables, and nginx is closed there.

// Places returns ErrNoNftables.
func (Barrier) Places(context.Context, int, map[string][]string) (map[string]Place, error) {
	return nil, ErrNoNftables
}

// Who returns ErrNoNftables.
func (Barrier) Who(int, []End) ([]User, []Cgroup, error) { return nil, nil, ErrNoNftables }

// Probe returns ErrNoNftables.
func (Barrier) Probe(context.Context, int, Rules) error { return ErrNoNftables }

// Load returns ErrNoNftables.
func (Barrier) Load(context.Context, int, Rules) error { return ErrNoNftables }

// Prove returns ErrNoNftables.
func (Barrier) Prove(context.Context, int, Rules, []string, []User) (Seen, error) {
	return Seen{}, ErrNoNftables
}

// Remove returns ErrNoNftables.
func (Barrier) Remove(context.Context, int) error { return ErrNoNftables }

// Look returns ErrNoNftables.
func (Barrier) Look(context.Context, int, Rules) (Seen, error) { return Seen{}, ErrNoNftables }

// RemoveAll returns ErrNoNftables.
func (Barrier) RemoveAll(context.Context, int) ([]string, error) { return nil, ErrNoNftables }

// IsContainer returns false.
func (Barrier) IsContainer(int) bool { return false }

// Clients finds nobody.
func (Barrier) Clients(int, Found) (map[string][]workers.Client, error) { return nil, ErrNoNftables }
