package doctor

import (
	"context"
	"errors"
	"fmt"

	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// store sees whether the store can be reached and written to, and whether it honours the conditions that keep two hosts
// from overwriting each other. It writes the schema that is published there over itself, which changes nothing, needs no
// more rights than publishing does, and leaves nothing behind.
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
	meta := store.Meta{ContentType: file.ContentType, CacheControl: file.CacheControl}
	const unsafe = "use a store that honours If-Match and If-None-Match (S3 does): two hosts may overwrite each other's status unseen"
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
			e.fault(ConditionalWrites, "the store overwrote a file "+c.what, unsafe)
			return
		case !errors.Is(err, store.ErrPrecondition):
			e.storeFault(err)
			return
		}
	}
	switch _, err := st.Put(ctx, file.Key, data, meta, store.IfMatch(etag)); {
	case errors.Is(err, store.ErrPrecondition):
		e.warn(Store, "somebody publishes at the same time", "repeat conforma-status doctor")
	case err != nil:
		e.storeFault(err)
	default:
		e.ok(Store, e.Host.Config.Store+" can be reached and written to")
		e.ok(ConditionalWrites, "are honoured")
	}
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
