package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
)

func (a *app) getCommand() *cobra.Command {
	var which selection
	cmd := &cobra.Command{
		Use: "get", Short: terminal.HelpGet, Long: terminal.HelpGetLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, chosen, err := a.hostOf(which.orAll())
			if err != nil {
				return err
			}
			if !canBeHost {
				return a.getPublished(cmd.Context(), h, chosen)
			}
			views := []maintenance.View{}
			code := exitDone
			for _, s := range chosen {
				v, err := h.View(cmd.Context(), s)
				if err != nil {
					return err
				}
				if len(v.Drift) > 0 {
					code = exitDrift
				}
				views = append(views, v)
			}
			a.terminal.Views(views)
			if code != exitDone {
				return said(code)
			}
			return nil
		},
	}
	which.flag(cmd)
	a.jsonFlag(cmd)
	return cmd
}

// getPublished is get on a machine that is no host: what is published is all that can be seen from there.
func (a *app) getPublished(ctx context.Context, h *maintenance.Host, chosen []config.Site) error {
	views := []maintenance.PublishedView{}
	code := exitDone
	for _, s := range chosen {
		v := h.ViewPublished(ctx, s)
		if len(v.Drift) > 0 {
			code = exitDrift
		}
		views = append(views, v)
	}
	a.terminal.PublishedViews(views)
	if code != exitDone {
		return said(code)
	}
	return nil
}
