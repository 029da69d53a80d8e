//go:build !linux

package workers

import "context"

// Only Linux has network namespaces: all are that of this process.

// IsOurs returns true.
func (Network) IsOurs() (bool, error) { return true, nil }

// Within calls f.
func (Network) Within(_ context.Context, after func(), f func() error) error {
	defer after()
	return f()
}
