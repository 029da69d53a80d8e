package maintenance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// The errors of a closing that failed wrap one of these where the site wasn't seen to be shut.
var (
	// ErrNotShut: a request was seen to be let through after that.
	ErrNotShut = errors.New("the site is not shut")
	// ErrMaybeOpen: what becomes of a request could not be seen.
	ErrMaybeOpen = errors.New("it is not known whether the site is shut")
)

// shutAll creates the closed files and asks nginx whether it obeys. Where it doesn't, the new rules are on their own.
func (r *run) shutAll(ctx context.Context, changes []*change) error {
	var errs []error
	for _, c := range changes {
		if err := r.Dir().Shut(c.site.Name); err != nil {
			errs = append(errs, fmt.Errorf("shut %s: %w", c.site.Name, err))
		}
	}
	deadline := r.Clock.Now().Add(shutTimeout)
	for _, c := range changes {
		if err := r.awaitShut(ctx, c, deadline); err != nil {
			errs = append(errs, err)
			c.receipt.warn(err.Error())
		}
	}
	return errors.Join(errs...)
}

// awaitShut waits until nginx says that it sees the site's closed file.
func (r *run) awaitShut(ctx context.Context, c *change, deadline time.Time) error {
	shut, err := r.until(ctx, deadline, func() (bool, error) {
		a, err := r.probeAll(ctx, c, func(a control.Answer) bool { return a.Closed })
		return a.Closed, err
	})
	switch {
	case err != nil:
		return fmt.Errorf("see whether nginx is shut: %w", err)
	case !shut:
		return fmt.Errorf("nginx doesn't see %s: its workers may not be allowed into a directory above it", r.Dir().ClosedFile(c.site.Name))
	}
	r.noteShut(c)
	return nil
}

// noteShut notes that nginx was seen to be shut just now.
func (r *run) noteShut(c *change) {
	c.shutAt = new(r.moment())
}

// notClosed adds to the failure of a closing whether requests still get through: it tries one.
func (r *run) notClosed(ctx context.Context, c *change, failure error) error {
	page, err := r.FetchPage(context.WithoutCancel(ctx), Target(c.site), "/", "")
	// A 502 or 504 says that nginx had no answer of the application's.
	if err == nil && page.Maintenance == "" && page.Status != http.StatusBadGateway && page.Status != http.StatusGatewayTimeout {
		return fmt.Errorf("%w: %w", ErrNotShut, failure)
	}
	return fmt.Errorf("%w: %w", ErrMaybeOpen, failure)
}

// isClosedNow reports whether nobody reaches a site that has its closed file: nginx says so, or no nginx runs.
func (r *run) isClosedNow(ctx context.Context, c *change) bool {
	if c.shutAt != nil {
		return true
	}
	a, err := r.Probe(context.WithoutCancel(ctx), Target(c.site))
	if err == nil && a.Closed {
		r.noteShut(c)
		return true
	}
	// Refused by a nginx that runs, the address may be the wrong one to ask.
	_, gone := r.Nginx.Master()
	return errors.Is(err, control.ErrUnreachable) && errors.Is(gone, workers.ErrNotRunning)
}
