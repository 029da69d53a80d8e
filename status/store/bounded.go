package store

import (
	"context"
	"errors"
	"time"
)

// grace is how long an operation that has used up its time is left to say why.
const grace = 100 * time.Millisecond

// boundedDir is a directory that is waited for no longer than limits say: on a network's file system a system call may
// take as long as the other side is away, and no context ends it.
type boundedDir struct {
	*dirStore
	limits
}

// limits bound one operation.
type limits struct {
	timeout time.Duration // 0: as the context allows
	grace   time.Duration
}

func (d *boundedDir) Get(ctx context.Context, key string) (data []byte, etag string, err error) {
	type file struct {
		data []byte
		etag string
	}
	f, err := within(ctx, d.limits, func(ctx context.Context) (f file, err error) {
		f.data, f.etag, err = d.dirStore.Get(ctx, key)
		return f, err
	})
	return f.data, f.etag, d.explain(d.doing("read", key), err)
}

func (d *boundedDir) Put(ctx context.Context, key string, data []byte, meta Meta, cond Condition) (string, error) {
	etag, err := within(ctx, d.limits, func(ctx context.Context) (string, error) {
		return d.dirStore.Put(ctx, key, data, meta, cond)
	})
	return etag, d.explain(d.doing("write", key), err)
}

// List is bounded by ctx alone: it reads every file.
func (d *boundedDir) List(ctx context.Context, prefix string) ([]Object, error) {
	found, err := within(ctx, limits{grace: d.grace}, func(ctx context.Context) ([]Object, error) {
		return d.dirStore.List(ctx, prefix)
	})
	return found, d.explain(d.doing("list", prefix+"*"), err)
}

func (d *boundedDir) Delete(ctx context.Context, key string) error {
	_, err := within(ctx, d.limits, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, d.dirStore.Delete(ctx, key)
	})
	return d.explain(d.doing("delete", key), err)
}

// explain turns errStuck into what an operator can use. Any other error is one already.
func (d *boundedDir) explain(doing string, err error) error {
	if !errors.Is(err, errStuck) {
		return err
	}
	return &opError{doing: doing, kind: ErrUnavailable, why: "the file system does not answer",
		hint: "see whether what is mounted at " + d.root + " is there: findmnt -T " + d.root, cause: err}
}

// errStuck is returned, joined with that of the context, for what didn't come back in time.
var errStuck = errors.New("it did not come back")

// within does something within the limits. What doesn't come back is left behind; what it was writing may or may not be
// written.
func within[T any](ctx context.Context, l limits, do func(context.Context) (T, error)) (T, error) {
	if l.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.timeout)
		defer cancel()
	}
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		value, err := do(ctx)
		done <- outcome{value, err}
	}()
	select {
	case out := <-done:
		return out.value, out.err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.grace)
	defer cancel()
	select {
	case out := <-done:
		return out.value, out.err
	case <-last.Done():
	}
	var none T
	return none, errors.Join(errStuck, ctx.Err())
}
