package store

import (
	"context"
	"errors"
	"time"
)

// limits bound an operation that may hang: on a network's file system a system call may take as long as the other
// side is away, and no context ends it.
type limits struct {
	timeout time.Duration // 0: as the context allows
	grace   time.Duration // how long what has used up its time is left to say why
}

// grace is enough for a file system that answers.
const grace = 100 * time.Millisecond

// errStuck is returned, joined with that of the context, for what didn't come back in time.
var errStuck = errors.New("the file system does not answer")

// within does something within the limits. What doesn't come back is left behind; what it was writing may or may not
// be written.
func within(ctx context.Context, l limits, do func(context.Context) error) error {
	if l.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.timeout)
		defer cancel()
	}
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.grace)
	defer cancel()
	select {
	case err := <-done:
		return err
	case <-last.Done():
		return errors.Join(errStuck, ctx.Err())
	}
}
