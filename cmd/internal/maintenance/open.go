package maintenance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf/control"
)

// ErrSmoke is returned (wrapped) when an application doesn't answer as it must before its site opens.
var ErrSmoke = errors.New("the application does not answer as it must")

// smoke tries the applications of sites that are about to open through the door, while everyone else is still shut out.
func (r *run) smoke(ctx context.Context, changes []*change) error {
	for _, c := range changes {
		if err := r.try(ctx, c); err != nil {
			return fmt.Errorf("try %s before it opens: %w", c.site.Name, err)
		}
	}
	return nil
}

func (r *run) try(ctx context.Context, c *change) error {
	path := c.site.Smoke
	if path == "" {
		path = "/"
	}
	seen, err := r.FetchPage(ctx, c.targets()[0], path, c.rules.door)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrSmoke, err)
	case seen.Maintenance != "":
		return fmt.Errorf("%w: the door for this machine is shut", ErrSmoke)
	case c.site.Smoke != "" && (seen.Status < 200 || seen.Status > 299), isDown(seen.Status):
		return fmt.Errorf("%w: %s answers %d", ErrSmoke, path, seen.Status)
	}
	return nil
}

// isDown reports whether a status is nginx's word for an application that isn't there.
func isDown(code int) bool { return code >= http.StatusBadGateway && code <= http.StatusGatewayTimeout }

// openAll removes the closed files of sites whose new rules are in force and sees that nginx obeys.
func (r *run) openAll(ctx context.Context, changes []*change) error {
	for _, c := range changes {
		if err := r.Dir().Open(c.site.Name); err != nil {
			return fmt.Errorf("open %s: %w", c.site.Name, err)
		}
	}
	deadline := r.Clock.Now().Add(shutTimeout)
	for _, c := range changes {
		if err := r.awaitOpen(ctx, c, deadline); err != nil {
			return err
		}
	}
	return nil
}

// awaitOpen waits until nginx no longer sees the site's closed file.
func (r *run) awaitOpen(ctx context.Context, c *change, deadline time.Time) error {
	isOpen := func(a control.Answer) bool { return !a.Closed && a.Revision == c.rules.revision }
	why := errors.New("nginx says that it still is")
	open, err := r.until(ctx, deadline, func() (bool, error) {
		a, err := r.probeAll(ctx, c, isOpen)
		if err != nil {
			why = err
		}
		return err == nil && isOpen(a), nil
	})
	if !open && err == nil {
		return fmt.Errorf("see whether %s is no longer shut: %w", c.site.Name, why)
	}
	return err
}

// seeAnswers looks whether sites that are open now answer.
func (r *run) seeAnswers(ctx context.Context, changes []*change) error {
	deadline := r.Clock.Now().Add(takeUpTimeout)
	for _, c := range changes {
		if err := r.awaitAnswer(ctx, c, deadline); err != nil {
			return err
		}
	}
	return nil
}

// awaitAnswer waits until the site answers otherwise than by our own refusal. An application that is down is a warning.
func (r *run) awaitAnswer(ctx context.Context, c *change, deadline time.Time) error {
	var seen control.Page
	answers, err := r.until(ctx, deadline, func() (answers bool, err error) {
		seen, err = r.FetchPage(ctx, c.targets()[0], "/", "")
		return seen.Maintenance == "", err
	})
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("see whether %s answers: %w", c.site.Name, control.ErrInterrupted)
	case err != nil:
		c.receipt.Unanswered = true
		c.receipt.warn(fmt.Sprintf("nginx is open, but %s does not answer: %v", c.site.Name, err))
	case !answers:
		return fmt.Errorf("see whether %s answers: nginx still says that it is %s", c.site.Name, seen.Maintenance)
	case isDown(seen.Status):
		c.receipt.Unanswered = true
		c.receipt.warn(fmt.Sprintf("nginx is open, but the application behind %s answers %d", c.site.Name, seen.Status))
	}
	return nil
}

// shutAgain undoes an opening: closed files first, then the previous rules. Whoever got in may still be there. A site
// that only got other rules stays open.
func (r *run) shutAgain(ctx context.Context, changes []*change, failure error) error {
	for _, c := range r.taking(StepOpen) {
		if c.isOpenAlready {
			continue
		}
		c.record.SafeSince = nil
		if err := r.Dir().Shut(c.site.Name); err != nil {
			failure = errors.Join(failure, fmt.Errorf("shut %s again: %w", c.site.Name, err))
		}
	}
	return r.rollBack(ctx, changes, failure)
}
