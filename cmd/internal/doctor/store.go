package doctor

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// store checks that the store can be reached and written to, and that it honours the conditions that keep two hosts
// from overwriting each other. It tries writes whose condition doesn't hold: a good store refuses them, so nothing is
// written. Publishing needs the same rights.
func (e *examination) store(ctx context.Context) {
	name := e.Host.Config.Store
	file, data, etag, err := e.published(ctx)
	if errors.Is(err, store.ErrNotFound) {
		e.warn(checkStore, name+" can be reached, and nothing is published there: whether it can be written to is not known",
			"conforma-status publish")
		e.warn(checkConditionalWrites, "can't be tried before something is published",
			"conforma-status publish, then repeat conforma-status doctor")
		return
	}
	overwritten := ""
	if err == nil {
		overwritten, err = overwrite(ctx, e.Host.Store, file, data, etag)
	}
	if err == nil && overwritten == "" {
		err = e.writeBeside(ctx, file.Key)
	}
	if err != nil {
		e.storeFault(err)
		return
	}
	e.ok(checkStore, name+" can be reached and written to")
	if overwritten != "" {
		e.fault(checkConditionalWrites, "the store overwrote a file "+overwritten,
			"use a store that honours If-Match and If-None-Match (S3 does): two hosts may overwrite each other's status unseen")
		return
	}
	e.ok(checkConditionalWrites, "are honoured")
}

// published returns the schema that lies beside the status of a site, of the first that has one.
func (e *examination) published(ctx context.Context) (file site.File, data []byte, etag string, err error) {
	err = store.ErrNotFound
	for _, s := range e.Host.Config.Sites {
		file = site.Schema(s.Path)
		if data, etag, err = e.Host.Store.Get(ctx, file.Key); !errors.Is(err, store.ErrNotFound) {
			break
		}
	}
	return file, data, etag, err
}

// overwrite tries to write the file in the store, as it is, where that has to refuse. It says what the store
// overwrote all the same, "" for nothing.
func overwrite(ctx context.Context, in store.Store, file site.File, data []byte, etag string) (what string, err error) {
	meta := store.Meta{ContentType: file.ContentType, CacheControl: file.CacheControl}
	if bytes.HasPrefix(data, []byte("\x1f\x8b")) { // RFC 1952, section 2.3.1
		meta.Encoding = "gzip"
	}
	for _, c := range []struct {
		cond store.Condition
		what string
	}{
		{store.IfAbsent(), "although it was told to write only a new one"},
		{store.IfMatch(wrongETag(etag)), "although it was told to write only over another version"},
	} {
		_, err := in.Put(ctx, file.Key, data, meta, c.cond)
		if !errors.Is(err, store.ErrPrecondition) {
			return c.what, err
		}
	}
	return "", nil
}

// wrongETag is the ETag of another content.
func wrongETag(etag string) string {
	if wrong := store.ContentETag(nil); wrong != etag {
		return wrong
	}
	return store.ContentETag([]byte("x"))
}

// writeBeside writes and deletes a file in a directory. A bucket refuses who may not write before it looks at the
// condition; a directory doesn't.
func (e *examination) writeBeside(ctx context.Context, key string) error {
	if kind, _, _ := store.ParseURL(e.Host.Config.Store); kind != store.Dir { // the configuration was checked
		return nil
	}
	probe := key + ".doctor"
	if _, err := e.Host.Store.Put(ctx, probe, nil, store.Meta{}, store.Always()); err != nil {
		return err
	}
	return e.Host.Store.Delete(ctx, probe)
}

func (e *examination) storeFault(err error) {
	if e.UID != 0 && errors.Is(err, store.ErrDenied) {
		e.warn(checkStore, fmt.Sprintf("user %d may not: %v", e.UID, err), "sudo conforma-status doctor tries it as root does")
		return
	}
	e.fault(checkStore, err.Error(),
		cmp.Or(store.Hint(err), "see that the store is there, that the credentials are in place, and that they may put and get"))
}
