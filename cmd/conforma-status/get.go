package main

import (
	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
)

func (a *app) getCommand() *cobra.Command {
	var names []string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "get", Short: helpGet, Long: helpGetLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.ui.json = asJSON
			c, chosen, err := a.loadSites(names, len(names) == 0)
			if err != nil {
				return err
			}
			h, err := a.host(c)
			if err != nil {
				return err
			}
			views := []maintenance.View{}
			code := exitDone
			for _, s := range chosen {
				v, err := h.View(cmd.Context(), s)
				if err != nil {
					return a.stateError(err)
				}
				if len(v.Drift) > 0 {
					code = exitDrift
				}
				views = append(views, v)
			}
			a.ui.views(views)
			if code != exitDone {
				return &coded{code: code, err: errSaid}
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&names, "site", nil, helpSites)
	cmd.Flags().BoolVar(&asJSON, "json", false, helpJSON)
	return cmd
}
