package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
)

func (a *app) historyCommand() *cobra.Command {
	var which selection
	cmd := &cobra.Command{
		Use: "history", Short: terminal.HelpHistory, Long: terminal.HelpHistoryLong, Args: arguments(cobra.NoArgs),
		RunE: func(_ *cobra.Command, _ []string) error {
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
				for _, s := range h.Config.Sites {
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
	which.flag(cmd)
	a.jsonFlag(cmd)
	return cmd
}
