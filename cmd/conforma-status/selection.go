package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/status/fault"
)

// selection is which sites a command is about.
type selection struct {
	names []string
	all   bool // where sites are named too, that is a mistake
}

// flags has a command take --site and --all.
func (s *selection) flags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&s.names, "site", nil, terminal.HelpSites)
	cmd.Flags().BoolVar(&s.all, "all", false, terminal.HelpAll)
}

// orAll selects all sites where none is named.
func (s selection) orAll() selection { return selection{s.names, s.all || len(s.names) == 0} }

// of are the sites of the configuration that are named, all of them, or the only one there is.
func (s selection) of(c *config.Config) ([]config.Site, error) {
	switch {
	case s.all && len(s.names) > 0:
		return nil, misused(errors.New("--site and --all cannot be used together"), terminal.HintSiteAndAll)
	case s.all, len(s.names) == 0 && len(c.Sites) == 1:
		return c.Sites, nil
	case len(s.names) == 0:
		return nil, misused(errors.New("there are several sites: say which with --site, or --all"), knownSites(c))
	}
	if unknown := unknownSites(c, s.names); len(unknown) > 0 {
		return nil, usage(fmt.Errorf("read --site: %w", unknown), knownSites(c))
	}
	var out []config.Site
	for i, name := range s.names {
		if one, ok := c.Site(name); ok && !slices.Contains(s.names[:i], name) {
			out = append(out, one)
		}
	}
	return out, nil
}

// unknownSites returns a fault, at the first site, for each name that no site of the configuration has.
func unknownSites(c *config.Config, names []string) fault.List {
	var unknown fault.List
	for i, name := range names {
		if _, ok := c.Site(name); !ok && !slices.Contains(names[:i], name) {
			line := max(1, c.Line("site[0]"))
			unknown = append(unknown, fault.Fault{File: c.File, Line: line, Key: "site.name", Problem: fmt.Sprintf("there is no site %q", name)})
		}
	}
	return unknown
}

// knownSites are the names of the sites of the configuration, nil where it can't be read.
func (a *app) knownSites() []string {
	c, _, err := config.Load(a.configurationFile())
	if err != nil {
		return nil
	}
	return config.SiteNames(c.Sites)
}

// knownSites is the hint that names the sites, "" where there is none.
func knownSites(c *config.Config) string {
	if len(c.Sites) == 0 {
		return ""
	}
	return fmt.Sprintf(terminal.HintSites, strings.Join(config.SiteNames(c.Sites), ", "))
}
