// Package client holds the front end's part: a script that watches the status and leaves for the maintenance page
// in time, its notice, its link for Apollo, its interceptor for axios and its hook for React. The sources are an npm
// package, whose README.md shows how each is used; dist has two of them as they are
// published beside status.json, made from the sources by deploy/e2e/frontend's TestPublishedClient with -update.
package client

import _ "embed"

// Names of the published files.
const (
	FileName       = "conforma-status.js"
	NoticeFileName = "conforma-status-notice.js"
)

var (
	//go:embed dist/conforma-status.js
	script []byte
	//go:embed dist/conforma-status-notice.js
	notice []byte
)

// File is one published script.
type File struct {
	Name string
	Data []byte // not to be changed
}

// Files returns the published scripts.
func Files() []File { return []File{{FileName, script}, {NoticeFileName, notice}} }
