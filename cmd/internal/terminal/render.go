package terminal

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
)

// Rendered prints where the rules were written and what to do with them.
func (t *Terminal) Rendered(paths []string, http string, siteFile func(string) string, sites []config.Site) {
	for _, p := range paths {
		fmt.Fprintf(t.Out, "wrote %s\n", p)
	}
	if len(paths) == 0 {
		fmt.Fprintln(t.Out, "the rules on disk are up to date")
	}
	fmt.Fprintf(t.Out, "in http {}:                    include %s;\n", http)
	for _, s := range sites {
		fmt.Fprintf(t.Out, "first in %s's server {}: include %s;\n", s.Name, siteFile(s.Name))
	}
}

// Standby prints what was written for a second machine, what was taken for granted, and what to do with it. host is
// this machine's own address, names are its name servers; either may be "".
func (t *Terminal) Standby(paths []string, main, host, names string, certificates []string) {
	for _, p := range paths {
		fmt.Fprintf(t.Out, "wrote %s\n", p)
	}
	if len(paths) == 0 {
		fmt.Fprintln(t.Out, "what is there is up to date")
	}
	if host == "" {
		t.Warn("render the standby: this machine's own address isn't known: no certificate authority's question reaches it by way of the standby")
	} else {
		fmt.Fprintf(t.Out, "this machine is taken to be at %s: certificate authorities' questions go there\n", host)
	}
	if names == "" {
		t.Warn("render the standby: no name server is known: a store that has a name is not found")
	} else {
		fmt.Fprintf(t.Out, "the standby asks this machine's name servers: %s\n", names)
	}
	fmt.Fprintf(t.Out, "next: copy %s to the same place on the standby", filepath.Dir(main))
	if len(certificates) > 0 {
		fmt.Fprintf(t.Out, ", with %s", strings.Join(certificates, ", "))
	}
	fmt.Fprintf(t.Out, "; there: nginx -t -c %s\n", main)
}
