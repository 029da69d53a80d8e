package main

import (
	"slices"

	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/spf13/cobra"
)

// siteHistory is what history prints of one site.
type siteHistory struct {
	Site    string         `json:"site"`
	Windows []state.Window `json:"windows"` // the times that it was closed, the oldest first
	Events  []state.Event  `json:"events"`  // every change, the oldest first
}

func (a *app) historyCommand() *cobra.Command {
	var names []string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "history", Short: helpHistory, Long: helpHistoryLong, Args: arguments(cobra.NoArgs),
		RunE: func(_ *cobra.Command, _ []string) error {
			a.ui.json = asJSON
			c, _, err := a.loadSites(names, len(names) == 0)
			if err != nil {
				return err
			}
			h, err := a.host(c)
			if err != nil {
				return err
			}
			events, unreadable, err := h.Dir().History()
			if err != nil {
				return a.stateError(err)
			}
			if unreadable > 0 {
				a.ui.unreadableHistory(unreadable)
			}
			// Sites that the configuration doesn't know any more have a past too.
			known := names
			if len(names) == 0 {
				for _, s := range c.Sites {
					known = append(known, s.Name)
				}
				for _, e := range events {
					if !slices.Contains(known, e.Site) {
						known = append(known, e.Site)
					}
				}
			}
			all := []siteHistory{}
			for _, name := range known {
				own := []state.Event{}
				for _, e := range events {
					if e.Site == name {
						own = append(own, e)
					}
				}
				all = append(all, siteHistory{Site: name, Windows: state.Windows(own), Events: own})
			}
			a.ui.history(all)
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&names, "site", nil, helpSites)
	cmd.Flags().BoolVar(&asJSON, "json", false, helpJSON)
	return cmd
}
