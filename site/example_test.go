package site_test

import (
	"fmt"
	"testing/fstest"

	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status/store"
)

func Example() {
	content, err := site.LoadContent(fstest.MapFS{
		"index.en.md": {Data: []byte("---\ntitle: Site maintenance\n---\nYour work is **saved**.\n")},
		"index.pt.md": {Data: []byte("---\ntitle: Manutenção\n---\nO seu trabalho está **guardado**.\n")},
	})
	if err != nil {
		fmt.Println(err) // every fault of the files, one a line
		return
	}
	demo := site.Site{
		Name: "demo", Path: "demo",
		AppURL: "https://demo.example.org", PageURL: "https://maintenance.example.org/demo/",
	}
	files, err := site.Build(content, demo)
	if err != nil {
		fmt.Println(err)
		return
	}
	// In the store there is a translation that is gone since.
	published := []store.Object{{Key: "demo/fr/index.html"}}
	for _, change := range site.Plan(demo, files, published) {
		fmt.Println(change.Action, change.Key)
	}
	// Output:
	// new demo/conforma-status-notice.js
	// new demo/conforma-status.js
	// new demo/status.schema.json
	// new demo/worker.js
	// new demo/pt/index.html
	// new demo/index.html
	// stale demo/fr/index.html
}

func ExampleLoadContent_faults() {
	_, err := site.LoadContent(fstest.MapFS{
		"index.en.md": {Data: []byte("---\ntitle: 2026\nlinks: https://help.example.org\n---\n")},
		"index.PT.md": {Data: []byte("Olá.\n")},
	})
	fmt.Println(err)
	// Output:
	// index.PT.md: "PT" is not a language tag
	// index.PT.md:1: there is no front matter
	// index.en.md:2: title: want text, found 2026
	// index.en.md:3: links: want a list
}
