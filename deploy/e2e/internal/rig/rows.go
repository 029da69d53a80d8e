package rig

import "slices"

// Rows tells by their names which rows of a table a test tries: some are tried by make test, and the others by make
// soak.
type Rows func(name string) bool

// Only are the rows of those names.
func Only(names ...string) Rows {
	return func(name string) bool { return slices.Contains(names, name) }
}

// Without are all rows but those of those names.
func Without(names ...string) Rows {
	return func(name string) bool { return !slices.Contains(names, name) }
}
