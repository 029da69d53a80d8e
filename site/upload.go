package site

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/msupply-foundation/conforma-status/status/store"
)

// parallel is how many files are sent to, or taken from, a store at the same time.
const parallel = 8

// Compressed returns the files as they go to a store that serves what it was given and compresses nothing itself, such
// as an S3 bucket: with gzip, which every browser takes.
//
// The same file always becomes the same bytes, and one with other headers becomes other bytes: a listing shows only
// ETags, which are made of the bytes. The difference is the time in gzip's own header, four bytes that nobody looks at
// (RFC 1952, section 2.3.1).
func Compressed(files []File) []File {
	out := slices.Clone(files)
	for i := range out {
		var b bytes.Buffer
		w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // a level that there is
		w.ModTime = time.Unix(int64(crc32.ChecksumIEEE([]byte(out[i].ContentType+"\n"+out[i].CacheControl))), 0)
		_, _ = w.Write(out[i].Data) // to memory
		_ = w.Close()
		out[i].Data, out[i].Encoding = b.Bytes(), "gzip"
	}
	return out
}

// Writer is the part of a store that Upload and Prune need.
type Writer interface {
	Put(ctx context.Context, key string, data []byte, meta store.Meta, cond store.Condition) (etag string, err error)
	Delete(ctx context.Context, key string) error
}

// Upload writes the new and changed files of a plan, which may be several sites' plans together: several at a time,
// and every page after what it points at. It stops at the first error, which wraps that of st; a plan made afresh
// goes on from there. It calls progress, which may be nil, after each file written, one call at a time.
func Upload(ctx context.Context, st Writer, plan []Change, progress func(Change)) error {
	plan = slices.Clone(plan)
	slices.SortStableFunc(plan, uploadOrder)
	plan = slices.DeleteFunc(plan, func(c Change) bool { return c.Action != New && c.Action != Changed })
	return inStages(ctx, plan, progress, func(ctx context.Context, c Change) error {
		if _, err := st.Put(ctx, c.Key, c.Data, c.meta(), store.Always()); err != nil {
			return fmt.Errorf("upload %s: %w", c.Key, err)
		}
		return nil
	})
}

// Prune deletes the stale files of a plan, as Upload writes the others: pages before what they point at. It is for
// after an Upload of the same plan: no page that is left points at them then.
func Prune(ctx context.Context, st Writer, plan []Change, progress func(Change)) error {
	plan = slices.DeleteFunc(slices.Clone(plan), func(c Change) bool { return c.Action != Stale })
	slices.SortStableFunc(plan, func(a, b Change) int { return uploadOrder(b, a) })
	return inStages(ctx, plan, progress, func(ctx context.Context, c Change) error {
		if err := st.Delete(ctx, c.Key); err != nil {
			return fmt.Errorf("delete %s: %w", c.Key, err)
		}
		return nil
	})
}

func (f File) meta() store.Meta {
	return store.Meta{ContentType: f.ContentType, CacheControl: f.CacheControl, Encoding: f.Encoding}
}

// HeaderStore is a store that keeps with each file how it is served. A bucket is one, a directory is not.
type HeaderStore interface {
	Get(ctx context.Context, key string) (data []byte, etag string, err error)
	Put(ctx context.Context, key string, data []byte, meta store.Meta, cond store.Condition) (etag string, err error)
	Describe(ctx context.Context, key string) (store.Meta, error)
}

// FixHeaders writes those of the files that the store has with other headers once more, with the content that they
// have there, and returns their keys. It stops at the first error, which wraps that of st. The files' Data is not
// looked at.
func FixHeaders(ctx context.Context, st HeaderStore, files []File) (fixed []string, err error) {
	for _, f := range files {
		is, err := st.Describe(ctx, f.Key)
		if err == nil && is == f.meta() {
			continue
		}
		var data []byte
		var etag string
		if err == nil {
			data, etag, err = st.Get(ctx, f.Key)
		}
		if err == nil {
			_, err = st.Put(ctx, f.Key, data, f.meta(), store.IfMatch(etag))
		}
		switch {
		case errors.Is(err, store.ErrPrecondition), errors.Is(err, store.ErrNotFound): // somebody else is at it
		case err != nil:
			return fixed, fmt.Errorf("send %s again: %w", f.Key, err)
		default:
			fixed = append(fixed, f.Key)
		}
	}
	return fixed, nil
}

// inStages does the changes, which are in order, several at a time, but never one together with one of another rank.
// The error is the first.
func inStages(
	ctx context.Context, changes []Change, progress func(Change), do func(context.Context, Change) error,
) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for len(changes) > 0 {
		n := 1
		for n < len(changes) && rank(changes[n]) == rank(changes[0]) {
			n++
		}
		var mu sync.Mutex
		inParallel(changes[:n], func(c Change) {
			if ctx.Err() != nil {
				return
			}
			if err := do(ctx, c); err != nil {
				cancel(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if progress != nil {
				progress(c)
			}
		})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		changes = changes[n:]
	}
	return nil
}

// inParallel does something with each of all, several at a time, and returns when the last is done.
func inParallel[T any](all []T, do func(T)) {
	var group errgroup.Group
	group.SetLimit(parallel)
	for _, one := range all {
		group.Go(func() error { do(one); return nil })
	}
	_ = group.Wait()
}
