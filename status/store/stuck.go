package store

import (
	"context"
	"time"
)

// timely is a directory that is given up waiting for: on a network's file system a system call may wait for as long as
// the other side is away, and no context ends it.
type timely struct {
	*dirStore
	most time.Duration // for anything but List, which ctx alone bounds: it reads every file
}

func (t *timely) Get(ctx context.Context, key string) (data []byte, etag string, err error) {
	type answer struct {
		data []byte
		etag string
	}
	a, err := inTime(ctx, t, t.most, t.doing("read", key), func(ctx context.Context) (a answer, err error) {
		a.data, a.etag, err = t.dirStore.Get(ctx, key)
		return a, err
	})
	return a.data, a.etag, err
}

func (t *timely) Put(ctx context.Context, key string, data []byte, meta Meta, cond Condition) (string, error) {
	return inTime(ctx, t, t.most, t.doing("write", key), func(ctx context.Context) (string, error) {
		return t.dirStore.Put(ctx, key, data, meta, cond)
	})
}

func (t *timely) List(ctx context.Context, prefix string) ([]Object, error) {
	return inTime(ctx, t, 0, t.doing("list", prefix+"*"), func(ctx context.Context) ([]Object, error) {
		return t.dirStore.List(ctx, prefix)
	})
}

func (t *timely) Delete(ctx context.Context, key string) error {
	_, err := inTime(ctx, t, t.most, t.doing("delete", key), func(ctx context.Context) (struct{}, error) {
		return struct{}{}, t.dirStore.Delete(ctx, key)
	})
	return err
}

// inTime does something for at most as long as given (0: as ctx allows). What doesn't come back is left behind; what it was
// writing may or may not be written.
func inTime[T any](ctx context.Context, t *timely, most time.Duration, doing string, do func(context.Context) (T, error)) (T, error) {
	if most > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, most)
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
	select { // it may have noticed the same, and say more
	case out := <-done:
		return out.value, out.err
	case <-time.After(grace):
	}
	var none T
	return none, &fault{doing: doing, kind: ErrUnavailable, why: "the file system does not answer",
		hint: "see whether what is mounted at " + t.root + " is there: findmnt -T " + t.root, cause: ctx.Err()}
}

// grace is how long something may still take to come back once its time is over.
const grace = 100 * time.Millisecond
