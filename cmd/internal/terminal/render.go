package terminal

import (
	"fmt"

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
