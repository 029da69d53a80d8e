package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// store sees whether the store can be reached and written to, and whether it honours the conditions that keep two hosts
// from overwriting each other. It tries writes that have to be refused, for a condition that doesn't hold: nothing is
// written, and no more rights are needed than publishing has. A bucket refuses who may not write before it looks at the
// condition; a directory doesn't, so that a file beside what is published is written and deleted there.
func (e *examination) store(ctx context.Context) {
	st := e.Host.Store
	var file site.File
	var data []byte
	var etag string
	err := error(store.ErrNotFound)
	for _, s := range e.Host.Config.Sites {
		file = site.Schema(s.Path)
		if data, etag, err = st.Get(ctx, file.Key); !errors.Is(err, store.ErrNotFound) {
			break
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		e.warn(Store, e.Host.Config.Store+" can be reached, and nothing is published there: whether it can be written to is not known", "conforma-status publish")
		e.warn(ConditionalWrites, "can't be tried before something is published", "conforma-status publish, then repeat conforma-status doctor")
		return
	}
	if err != nil {
		e.storeFault(err)
		return
	}
	// A store that overwrites it all the same gets what is there, as it is published.
	meta := store.Meta{ContentType: file.ContentType, CacheControl: file.CacheControl}
	if bytes.HasPrefix(data, []byte("\x1f\x8b")) { // RFC 1952, section 2.3.1
		meta.Encoding = "gzip"
	}
	for _, c := range []struct {
		cond store.Condition
		what string
	}{
		{store.IfAbsent(), "that was to be there for the first time"},
		{store.IfMatch(wrongETag(etag)), "that was another than expected"},
	} {
		switch _, err := st.Put(ctx, file.Key, data, meta, c.cond); {
		case err == nil:
			e.ok(Store, e.Host.Config.Store+" can be reached and written to")
			e.fault(ConditionalWrites, "the store overwrote a file "+c.what,
				"use a store that honours If-Match and If-None-Match (S3 does): two hosts may overwrite each other's status unseen")
			return
		case !errors.Is(err, store.ErrPrecondition):
			e.storeFault(err)
			return
		}
	}
	if kind, _, _ := store.ParseURL(e.Host.Config.Store); kind == store.Dir { // the configuration was checked
		probe := file.Key + ".doctor"
		_, err := st.Put(ctx, probe, nil, store.Meta{}, store.Always())
		if err == nil {
			err = st.Delete(ctx, probe)
		}
		if err != nil {
			e.storeFault(err)
			return
		}
	}
	e.ok(Store, e.Host.Config.Store+" can be reached and written to")
	e.ok(ConditionalWrites, "are honoured")
}

func (e *examination) storeFault(err error) {
	hint := store.Hint(err)
	if hint == "" {
		hint = "see that the store is there, that the credentials are in place, and that they may put and get"
	}
	if e.UID != 0 && errors.Is(err, store.ErrDenied) {
		e.warn(Store, fmt.Sprintf("user %d may not: %v", e.UID, err), "sudo conforma-status doctor tries it as root does")
		return
	}
	e.fault(Store, err.Error(), hint)
}

// wrongETag is the ETag of another content.
func wrongETag(etag string) string {
	if wrong := store.ContentETag(nil); wrong != etag {
		return wrong
	}
	return store.ContentETag([]byte("x"))
}
