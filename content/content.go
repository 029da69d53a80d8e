// Package content holds the maintenance page's built-in text, in Markdown. It has no code but this
// directive, which has to be here: go:embed reaches only files beside or below its own package.
package content

import "embed"

// FS holds the built-in Markdown files and brand. It serves where the configuration names no content of its own; the
// sentences of the page itself that other content leaves out are taken from it.
//
//go:embed *.md brand.yaml
var FS embed.FS
