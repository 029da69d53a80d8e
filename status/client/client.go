// Package client holds the front end's part: a script that watches the status and leaves for the maintenance page in
// time, its notice, its link for Apollo, its interceptor for axios and its hook for React, and the service worker
// (service/). The sources are an npm package, whose README.md shows how each is used; dist has three of them as they
// are published beside status.json, and the worker as nginx serves it, made from the sources by deploy/e2e/frontend's
// TestPublishedClient with -update.
package client

import (
	_ "embed"
	"encoding/json"
	"strings"
)

// Names of the published files.
const (
	FileName       = "conforma-status.js"
	NoticeFileName = "conforma-status-notice.js"
	WorkerFileName = "worker.js" // FileName imports it, where a site has a service worker
)

var (
	//go:embed dist/conforma-status.js
	script []byte
	//go:embed dist/conforma-status-notice.js
	notice []byte
	//go:embed dist/worker.js
	registering []byte
	//go:embed dist/sw.js
	worker string
	//go:embed dist/gone.js
	gone string
)

// Worker is the service worker of a site whose status document is at statusURL, an absolute URL. While the site's
// host is off it has navigations end on the maintenance page. It has no line break at its end, and is one line.
func Worker(statusURL string) string {
	quoted, _ := json.Marshal(statusURL) // a string
	return strings.TrimSpace(strings.Replace(worker, `"{STATUS_URL}"`, string(quoted), 1))
}

// NoWorker is what stands in the place of Worker where a site has none: a service worker that ends itself, and so the
// one that a browser has from before. It is one line as well.
func NoWorker() string { return strings.TrimSpace(gone) }

// File is one published script.
type File struct {
	Name string
	Data []byte // not to be changed
}

// Files returns the published scripts.
func Files() []File {
	return []File{{FileName, script}, {NoticeFileName, notice}, {WorkerFileName, registering}}
}
