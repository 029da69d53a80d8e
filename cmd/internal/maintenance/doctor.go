package maintenance

import (
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
	"github.com/msupply-foundation/conforma-status/status"
)

// Interrupted returns when the change in the journal began, zero if there is none. The change may still be under way.
// The error wraps state.ErrJournal when the journal can't be understood.
func (h *Host) Interrupted() (began time.Time, err error) {
	in, err := h.Dir().Interrupted()
	if in == nil || err != nil {
		return time.Time{}, err
	}
	return in.Started, nil
}

// Holes says in words how a site could be reached past its rules in that mode, as Set would refuse it.
func Holes(s config.Site, serving operator.Serving, file string, mode status.Mode) []string {
	c := change{site: s, serving: serving}
	c.to.Mode = mode
	return c.holes(file)
}
