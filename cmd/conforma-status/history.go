package main

import (
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
)

func (a *app) historyCommand() *cobra.Command {
	var which selection
	var last int
	cmd := &cobra.Command{
		Use: "history", Short: terminal.HelpHistory, Long: terminal.HelpHistoryLong, Args: arguments(cobra.NoArgs),
		RunE: func(_ *cobra.Command, _ []string) error {
			if last < 0 {
				return misused(errors.New("-n has to be a number of changes, 0 for all"), terminal.HintLast)
			}
			h, _, err := a.hostOf(which.orAll())
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
			known := which.names
			if len(known) == 0 {
				known = config.SiteNames(h.Config.Sites)
				for _, e := range events {
					if !slices.Contains(known, e.Site) {
						known = append(known, e.Site)
					}
				}
			}
			a.terminal.History(known, events, last)
			return nil
		},
	}
	which.flags(cmd)
	cmd.Flags().IntVarP(&last, "last", "n", 0, terminal.HelpLast)
	a.jsonFlag(cmd)
	return cmd
}
