// Package status holds the words that every part of conforma-status shares: the mode of a site and
// the status document that tells visitors about it. It imports nothing else of this project.
package status

import (
	"fmt"
	"slices"
)

// Mode is what nginx does with the requests of a site.
type Mode string

const (
	// Online is normal functioning, as if conforma-status were not installed.
	Online Mode = "online"
	// Admin lets everyone reach the login page and lets administrators reach everything.
	Admin Mode = "admin"
	// Offline lets nobody reach the application.
	Offline Mode = "offline"
)

// Modes lists the modes from the most open to the strictest: each lets no request through to the application that
// the one before it keeps out. What decides about a closing counts on that. The schema beside this file has the
// same list, and so have the page (site/theme/page.js) and the client's types (status/client/conforma-status.d.ts).
func Modes() []Mode { return []Mode{Online, Admin, Offline} }

// ParseMode returns the mode named s, which must be spelled exactly as in the status document.
func ParseMode(s string) (Mode, error) {
	if m := Mode(s); slices.Contains(Modes(), m) {
		return m, nil
	}
	return "", fmt.Errorf("unknown mode %q: want online, offline or admin", s)
}

// rank orders modes by strictness. An unknown mode ranks above all others, so that whatever compares
// against it errs towards closed.
func (m Mode) rank() int {
	if i := slices.Index(Modes(), m); i >= 0 {
		return i
	}
	return len(Modes())
}

// StricterThan reports whether m lets fewer requests through than other.
func (m Mode) StricterThan(other Mode) bool { return m.rank() > other.rank() }

// Closed reports whether m keeps anyone out: it is true of every mode but Online.
func (m Mode) Closed() bool { return m != Online }
