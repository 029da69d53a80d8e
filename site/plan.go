package site

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// Action is what publishing means for one file.
type Action string

const (
	New       Action = "new"       // the store has no such file
	Changed   Action = "changed"   // the store has it with other content, or other headers
	Unchanged Action = "unchanged" // the store has the same content already
	Stale     Action = "stale"     // the store has it from an earlier publication, and it is no longer built
)

// Change is one line of a plan. A stale file has a Key and nothing else.
type Change struct {
	File
	Action Action
}

// Plan compares the files built for s with what the store lists (all of it, or what is below s.Path). It returns a line
// for each file in the order in which Upload sends them, stale ones last. What is not part of the page, such as the
// status document, the client and the pages of other sites, is never stale. It sees a change of headers alone only if
// the file is Compressed.
func Plan(s Site, files []File, existing []store.Object) []Change {
	etags := make(map[string]string, len(existing))
	for _, o := range existing {
		etags[o.Key] = o.ETag
	}
	var plan []Change
	built := make(map[string]bool, len(files))
	for _, f := range files {
		built[f.Key] = true
		etag, there := etags[f.Key]
		action := Changed
		if !there {
			action = New
		} else if etag == store.ContentETag(f.Data) {
			action = Unchanged
		}
		plan = append(plan, Change{f, action})
	}
	slices.SortStableFunc(plan, uploadOrder)
	for _, o := range existing {
		if !built[o.Key] && s.owns(o.Key, etags) {
			plan = append(plan, Change{File{Key: o.Key}, Stale})
		}
	}
	return plan
}

// owns reports whether key has the form of a file that Build makes for s. A folder with a status document or schema of
// its own belongs to another site, even if its name could be a language.
func (s Site) owns(key string, existing map[string]string) bool {
	dir, base := path.Split(key)
	dir = path.Clean(dir)
	if dir == path.Clean(s.Path) {
		return base == indexName || base == status.SchemaFileName
	}
	if path.Dir(dir) != path.Clean(s.Path) || base != indexName || !status.IsLanguage(path.Base(dir)) {
		return false
	}
	for _, own := range []string{status.FileName, status.SchemaFileName} {
		if _, ok := existing[path.Join(dir, own)]; ok {
			return false
		}
	}
	return true
}

// rank is smaller for what has to be there first: parts, then new pages, then changed ones, each translations before
// the main page. Pages that are there already lead to a new translation only once they are changed. Nobody is sent to a
// page of a site before its main page is there.
func rank(c Change) int {
	if path.Base(c.Key) != indexName {
		return -1000
	}
	r := -strings.Count(c.Key, "/")
	if c.Action == Changed {
		r += 500
	}
	return r
}

// uploadOrder has a page come after everything that it may point at.
func uploadOrder(a, b Change) int { return cmp.Or(rank(a)-rank(b), strings.Compare(a.Key, b.Key)) }
