package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
)

func (a *app) historyCommand() *cobra.Command {
	var names []string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "history", Short: terminal.HelpHistory, Long: terminal.HelpHistoryLong, Args: arguments(cobra.NoArgs),
		RunE: func(_ *cobra.Command, _ []string) error {
			a.terminal.JSON = asJSON
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
				return err
			}
			if unreadable > 0 {
				a.terminal.UnreadableHistory(unreadable)
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
			a.terminal.History(known, events)
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&names, "site", nil, terminal.HelpSites)
	cmd.Flags().BoolVar(&asJSON, "json", false, terminal.HelpJSON)
	return cmd
}
