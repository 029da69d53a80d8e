package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sync/errgroup"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
)

const (
	// timeout is how long a webhook may take to answer.
	timeout = 10 * time.Second
	// day is how long an event is tried for.
	day = 24 * time.Hour
	// failuresInARound is how many events of a webhook may fail before the others are left to the next round.
	failuresInARound = 3
	// lingers is how long a delivery waits for the next attempt to be due. What is due later is left to another one.
	lingers = 6 * time.Second
	// lockRetry is how often, and lockTries how many times, the lock of a webhook is tried.
	lockRetry = 100 * time.Millisecond
	lockTries = 150
)

// pause is how long after so many attempts the next one is made.
func pause(attempts int) time.Duration {
	switch {
	case attempts <= 1:
		return time.Second
	case attempts == 2:
		return 5 * time.Second
	}
	return min(time.Hour, 30*time.Second<<min(attempts-3, 10))
}

// ErrNotTaken is returned (wrapped) by Send where the webhook answered, and not with 2xx.
var ErrNotTaken = errors.New("it is not taken")

// Sender sends events.
type Sender struct {
	Client *http.Client // NewClient makes one
	Clock  state.Clock
	Agent  string // the User-Agent
}

// NewClient is the client for webhooks. It follows no redirect: where one leads to, nobody has configured.
func NewClient() *http.Client {
	return &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Send sends an event now. The error doesn't name the URL, whose path may be secret. It wraps ErrNotTaken, ErrSecret or
// ErrExposed where that is why.
func (s Sender) Send(ctx context.Context, h config.Webhook, e Event) error {
	return s.send(ctx, h, e.ID(), e.body())
}

func (s Sender) send(ctx context.Context, h config.Webhook, id string, body []byte) error {
	secret, err := ReadSecret(h.SecretFile)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("make the request: it is not a URL") // the error itself quotes it
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", s.Agent)
	sign(req.Header, secret, id, s.Clock.Now(), body)
	answer, err := s.Client.Do(req)
	if err != nil {
		return unanswered(err)
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, 64<<10) // so that the connection can be used again
	switch {
	case answer.StatusCode >= 200 && answer.StatusCode < 300:
		return nil
	case answer.StatusCode >= 300 && answer.StatusCode < 400:
		return fmt.Errorf("%w: it answered %d, a redirect, which is not followed", ErrNotTaken, answer.StatusCode)
	}
	return fmt.Errorf("%w: it answered %d", ErrNotTaken, answer.StatusCode)
}

// unanswered is an error of an HTTP client without the URL in it.
func unanswered(err error) error {
	if onURL, is := errors.AsType[*url.Error](err); is {
		if onURL.Timeout() {
			return fmt.Errorf("it did not answer within %v", timeout)
		}
		err = onURL.Err
	}
	if op, is := errors.AsType[*net.OpError](err); is {
		return op
	}
	return err
}

// Deliver sends the events that wait and are due, to all webhooks at once, each in the order in which it happened. An
// event that isn't taken is tried again: within seconds by this call, later by another. After a day it is given up.
func (s Sender) Deliver(ctx context.Context, q Queue, hooks []config.Webhook) error {
	q.forget(hooks)
	var all errgroup.Group
	for _, h := range hooks {
		all.Go(func() error {
			if err := s.deliver(ctx, q, h); err != nil {
				return fmt.Errorf("deliver to the webhook %s: %w", Where(h.URL), err)
			}
			return nil
		})
	}
	return all.Wait()
}

func (s Sender) deliver(ctx context.Context, q Queue, h config.Webhook) error {
	if !q.Any([]config.Webhook{h}) {
		return nil
	}
	lock := flock.New(filepath.Join(q.of(h), lockFile), flock.SetPermissions(0o600))
	for try := 0; ; try++ {
		mine, err := lock.TryLock()
		if err != nil {
			return err
		}
		if mine {
			break
		}
		if try == lockTries {
			return nil // whoever has it is at work on the same, or the next reconcile is
		}
		if err := s.Clock.Sleep(ctx, lockRetry); err != nil {
			return err
		}
	}
	defer func() { _ = lock.Unlock() }()
	for {
		next, err := s.round(ctx, q, h)
		if err != nil || next == nil {
			return err
		}
		wait := next.Sub(s.Clock.Now())
		if wait > lingers {
			return nil
		}
		if err := s.Clock.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// round tries each event that is due once, and returns when the next one is, nil where none is left.
func (s Sender) round(ctx context.Context, q Queue, h config.Webhook) (next *time.Time, err error) {
	events, err := q.entries(h)
	if err != nil {
		return nil, err
	}
	failures := 0
	for _, e := range events {
		if !e.next.After(s.Clock.Now()) {
			p, err := q.read(h, e.path)
			if err != nil {
				return nil, err
			}
			if p == nil {
				continue
			}
			failure := s.send(ctx, h, p.ID, p.Body)
			switch {
			case ctx.Err() != nil:
				return nil, ctx.Err()
			case failure == nil:
				if err := q.delivered(h, *p); err != nil {
					return nil, err
				}
				continue
			}
			if e.next, err = s.failed(q, h, *p, failure); err != nil {
				return nil, err
			}
			failures++
			if !errors.Is(failure, ErrNotTaken) || failures == failuresInARound {
				return &e.next, nil // nobody answers, so the others would fare no better: they are tried when this one is
			}
		}
		if next == nil || e.next.Before(*next) {
			next = &e.next
		}
	}
	return next, nil
}

// failed notes that an attempt failed, and returns when the next one is due. An event that is given up has none: then
// it is the time for the events behind it.
func (s Sender) failed(q Queue, h config.Webhook, p pending, failure error) (next time.Time, err error) {
	now := s.Clock.Now()
	p.Attempts++
	p.Error = failure.Error()
	next = now.Add(pause(p.Attempts))
	if now.Sub(p.Since) >= day {
		return next, q.giveUp(h, p, now)
	}
	return next, q.postpone(h, p, next)
}
