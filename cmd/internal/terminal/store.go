package main

import (
	"fmt"

	"github.com/msupply-foundation/conforma-status/status/store"
)

const (
	helpStore         = "set up where the maintenance site lies"
	helpStoreInit     = "set up the store: the bucket, CORS, public read of just what is public"
	helpStoreInitLong = `Set up the store of the configuration, and say each thing that is done. A bucket is made where there is none; anyone may
then get what is below the store's prefix and list nothing, and pages of any origin may read it. What others have put
into the bucket's policy and CORS rules stays. A directory is made where there is none. It is safe to run again.`
	helpStorePrivate = "let nobody in: a CDN reads the bucket by a right of its own"
)

var preparedWords = map[store.Part][2]string{ // as it was, and changed
	store.PartDirectory: {"the directory is there", "the directory was made; have a web server serve it"},
	store.PartBucket:    {"the bucket is there", "the bucket was made"},
	store.PartBlock:     {"a policy may let the public in", "a policy may let the public in now (BlockPublicPolicy and RestrictPublicBuckets are off; ACLs stay blocked)"},
	store.PartPolicy:    {"anyone may get objects, and list nothing", "anyone may get objects now (s3:GetObject), and list nothing"},
	store.PartCORS:      {"pages of any origin may read them", "pages of any origin may read them now (CORS: GET and HEAD; Date, Age and ETag are exposed)"},
}

// prepared says what was done about one part of a store.
func (u *ui) prepared(where string, did store.Prepared) {
	words, mark := preparedWords[did.Part][0], "="
	switch {
	case did.Missing:
		words, mark = fmt.Sprintf("this server has no such setting: %s", did.Part), "?"
	case did.Changed:
		words, mark = preparedWords[did.Part][1], "+"
	}
	fmt.Fprintf(u.out, "  %s %s: %s\n", mark, where, words)
}
