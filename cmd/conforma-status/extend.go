package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
)

func (a *app) extendCommand() *cobra.Command {
	var names []string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "extend WHEN", Short: helpExtend, Long: helpExtendLong, Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			a.ui.json = asJSON
			eta, err := parseWhen(args[0], time.Now())
			if err != nil {
				return usage(fmt.Errorf("read the time: %w", err), hintWhen)
			}
			c, chosen, err := a.loadSites(names, false)
			if err != nil {
				return err
			}
			_, err = a.change(cmd.Context(), c, maintenance.Request{Sites: chosen, ETA: &eta, WordsOnly: true})
			if errors.Is(err, maintenance.ErrOnline) {
				return failed(err, hintOnlineSaysNothing)
			}
			return err
		},
	}
	cmd.Flags().StringArrayVar(&names, "site", nil, helpSites)
	cmd.Flags().BoolVar(&asJSON, "json", false, helpJSON)
	return cmd
}
