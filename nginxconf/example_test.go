package nginxconf_test

import (
	"bytes"
	"fmt"

	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/status"
)

// The rules of a site that is closed, and what is read of them later.
func Example() {
	s := nginxconf.Site{
		Name: "demo", Dir: "/var/lib/conforma-status/sites/demo",
		AppURL: "https://demo.example.org:50000", PageURL: "https://maintenance.example.org/",
	}
	revision, err := s.Revision(status.Offline, 42)
	if err != nil {
		fmt.Println(err)
		return
	}
	rules, err := s.Render(status.Offline, revision)
	if err != nil {
		fmt.Println(err)
		return
	}
	mode, read := nginxconf.ReadHeader(rules)
	fmt.Println(mode, nginxconf.Order(read), read == revision)
	fmt.Println(bytes.Contains(rules, []byte(`set $conforma_page "https://maintenance.example.org/"`)))
	// Output:
	// offline 42 true
	// true
}
