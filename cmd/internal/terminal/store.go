package terminal

import (
	"fmt"

	"github.com/msupply-foundation/conforma-status/status/store"
)

var preparedWords = map[store.Part][2]string{ // as it was, and changed
	store.PartDirectory: {"the directory is there", "the directory was made; have a web server serve it"},
	store.PartBucket:    {"the bucket is there", "the bucket was made"},
	store.PartBlock:     {"a policy may let the public in", "a policy may let the public in now (BlockPublicPolicy and RestrictPublicBuckets are off; ACLs stay blocked)"},
	store.PartPolicy:    {"anyone may get objects, and list nothing", "anyone may get objects now (s3:GetObject), and list nothing"},
	store.PartCORS:      {"pages of any origin may read them", "pages of any origin may read them now (CORS: GET and HEAD; Date, Age and ETag are exposed)"},
}

// Prepared says what was done about one part of a store.
func (t *Terminal) Prepared(where string, did store.Prepared) {
	words, mark := preparedWords[did.Part][0], "="
	switch {
	case did.Missing:
		words, mark = fmt.Sprintf("this server has no such setting: %s", did.Part), "?"
	case did.Changed:
		words, mark = preparedWords[did.Part][1], "+"
	}
	fmt.Fprintf(t.Out, "  %s %s: %s\n", mark, where, words)
}
