package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
)

func (a *app) extendCommand() *cobra.Command {
	var which selection
	cmd := &cobra.Command{
		Use: "extend WHEN", Short: terminal.HelpExtend, Long: terminal.HelpExtendLong, Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			eta, err := parseWhen(args[0], time.Now())
			if err != nil {
				return usage(fmt.Errorf("read the time: %w", err), terminal.HintWhen)
			}
			c, chosen, err := a.loadSites(which)
			if err != nil {
				return err
			}
			_, err = a.change(cmd.Context(), c, maintenance.Request{Sites: chosen, ETA: &eta, WordsOnly: true})
			return err
		},
	}
	which.flag(cmd)
	a.jsonFlag(cmd)
	return cmd
}
