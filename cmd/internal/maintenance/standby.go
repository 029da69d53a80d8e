package maintenance

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/status"
)

// ErrNginxNeeded is returned (wrapped) by Reconcile when a change was interrupted and nginx doesn't run. It comes up
// in the old mode or shut, and the next Reconcile finishes the change.
var ErrNginxNeeded = errors.New("the interrupted change is finished once nginx runs")

// standBy puts right the files that nginx reads when it starts: at boot this comes before any traffic. It only makes
// a site stricter, or lets nginx start. What opens one is left to a Reconcile that can ask nginx. Last it publishes
// closings.
func (h *Host) standBy(ctx context.Context) error {
	interrupted, err := h.Dir().Interrupted()
	if err != nil && !errors.Is(err, state.ErrJournal) { // a damaged one is set aside when nginx runs
		return err
	}
	files := map[string][]byte{}
	var renewed []string
	errs := []error{h.putBarrierBack(ctx)}
	for _, s := range h.Config.Sites {
		rules, err := h.standByFor(s, interrupted)
		if err != nil {
			errs = append(errs, err) // the others' are seen to all the same
		} else if rules != nil {
			files[nginxconf.SiteFile(h.Config.Nginx.ConfDir, s.Name)] = rules
			renewed = append(renewed, s.Name)
		}
	}
	http, err := h.httpConf(renewed)
	if err == nil {
		files[nginxconf.HTTPFile(h.Config.Nginx.ConfDir)] = http
		_, err = nginxconf.Install(files)
	}
	if err != nil {
		errs = append(errs, fmt.Errorf("put the rules in place: %w", err))
	}
	publishes := h.Config.Sites
	if h.Config.Fleet != nil {
		publishes = nil // the agents see to it
		errs = append(errs, h.waitForOrders())
	}
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	for _, s := range publishes {
		r, known, err := h.Dir().Record(s.Name)
		if err != nil {
			continue
		}
		if one, under := interrupted.Of(s.Name); under {
			if one.Closes() { // it comes up shut, and visitors may have been told otherwise
				_, _ = h.publish(ctx, s, one.To, r.Published)
			}
			continue
		}
		if !known {
			continue
		}
		if err := h.remind(ctx, s, r); err != nil {
			errs = append(errs, err)
		}
		if r.Document.Mode.Closed() && (r.Unpublished || h.isOutdated(ctx, s, &r)) {
			_, _ = h.publishRecord(ctx, s, &r) // it stays unpublished on record, and is tried again next time
		}
	}
	if err := errors.Join(errs...); err != nil || interrupted == nil {
		return err
	}
	return fmt.Errorf("%w: %w", workers.ErrNotRunning, ErrNginxNeeded)
}

// waitForOrders shuts each site until its agent has read the fleet's order: what was ordered while this host was off
// isn't known.
func (h *Host) waitForOrders() error {
	var errs []error
	for _, s := range h.Config.Sites {
		on, err := h.Dir().Followed(s.Name)
		if err == nil && !on.Waits {
			on.Waits = true
			err = h.Dir().WriteFollowed(s.Name, on)
		}
		errs = append(errs, err, h.shutWaiting(s))
	}
	return errors.Join(errs...)
}

// putBarrierBack has the kernel do what it was last told, before nginx starts. The part inside a container has to wait
// for nginx: there is no network namespace before. The part around the container doesn't wait.
func (h *Host) putBarrierBack(ctx context.Context) error {
	told, known, err := h.Dir().Barrier()
	if err != nil || !known || h.Kernel == nil || h.Config.Barrier == config.BarrierOff {
		return err
	}
	if told.Container {
		told.Rules = told.Rules.Around()
	}
	if !isWanted(told.Rules) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, kernelTimeout)
	defer cancel()
	told.Rules.Exempt = nil // cgroups are made anew with the machine
	seen, err := h.Kernel.Look(ctx, 0, told.Rules)
	if err != nil || !seen.Less {
		return err
	}
	return h.Kernel.Load(ctx, 0, told.Rules)
}

// standByFor shuts a site that is to be offline, and returns the rules to put in place, nil for those that are there.
func (h *Host) standByFor(s config.Site, in *state.Interrupted) ([]byte, error) {
	r, _, err := h.recordOf(s)
	if err != nil {
		return nil, err
	}
	wanted := r.Document.Mode
	one, interrupted := in.Of(s.Name)
	closing := interrupted && one.Closes()
	if wanted == status.Offline && !interrupted || closing {
		if err := h.Dir().Shut(s.Name); err != nil {
			return nil, fmt.Errorf("shut %s: %w", s.Name, err)
		}
	}
	told := h.Dir().Announced(r.Document, r.Hold)
	if closing {
		told = one.To
	}
	if told.Mode.Closed() {
		if err := h.Dir().WriteAnswers(told); err != nil {
			return nil, fmt.Errorf("write nginx's answers for %s: %w", s.Name, err)
		}
	}
	disk, err := h.rulesInPlace(s)
	if err != nil {
		return nil, err
	}
	mode, _ := nginxconf.ReadHeader(disk)
	if mode != "" && (interrupted || mode.StricterThan(wanted)) {
		return nil, nil
	}
	rules, err := h.rulesOnRecord(s, r)
	if err != nil || bytes.Equal(rules, disk) {
		return nil, err
	}
	return rules, nil
}
