package doctor

import (
	"errors"
	"fmt"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
)

// barrier sees whether the kernel can keep connections from the application while the site is closed, and what else
// that would do. conf is nil where nginx's configuration can't be read.
func (e *examination) barrier(s config.Site, conf *operator.Config, b maintenance.Barrier) {
	switch {
	case e.Host.Config.Barrier == config.BarrierOff:
		return
	case e.UID != 0:
		e.warn(checkBarrier, fmt.Sprintf("user %d may not look at it: only root can tell whether there can be one", e.UID), hintAsRoot)
		return
	}
	refuses, err := b.Refuses, b.Err
	switch text := fmt.Sprintf("there is none for the site: %v", err); {
	case err != nil && e.Host.Config.Barrier == config.BarrierRequired:
		e.fault(checkBarrier, text, hintNoBarrier+`, or say barrier = "auto": with "required" the site can't be closed`)
		return
	case errors.Is(err, maintenance.ErrShared) && s.SharedUpstream:
		e.ok(checkBarrier, text+", as shared_upstream says")
		return
	case err != nil:
		e.warn(checkBarrier, text, hintNoBarrier+`; barrier = "off" says that there is to be none`)
		return
	}
	var detours []string
	if conf != nil {
		file := e.rulesOf(s)
		target := maintenance.Target(s)
		detours = maintenance.Detours(s, conf.Serving(file, target, s.Upstreams))
	}
	for _, text := range detours {
		e.warn(checkBarrier, text, "add that server to the site's upstreams if it is the same application; else check that it may get these requests")
	}
	for _, text := range refuses {
		e.warn(checkBarrier, text, "run it as another user, or see that it can do without the application while the site is closed")
	}
	if len(detours)+len(refuses) == 0 {
		e.ok(checkBarrier, "the kernel can keep everybody from the application")
	}
}

const hintNoBarrier = `mend what is missing: OPERATIONS.md, "The kernel barrier"`
