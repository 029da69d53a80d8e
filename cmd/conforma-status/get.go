package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
)

// watchEvery is how long get --watch waits before it looks again.
const watchEvery = 2 * time.Second

func (a *app) getCommand() *cobra.Command {
	var which selection
	var watch bool
	cmd := &cobra.Command{
		Use: "get [NAME]...", Aliases: []string{"status"}, Short: terminal.HelpGet, Long: terminal.HelpGetLong, Args: cobra.ArbitraryArgs,
		ValidArgsFunction: a.completeSite,
		RunE: func(cmd *cobra.Command, args []string) error {
			which.names = append(which.names, args...)
			if watch && a.terminal.JSON {
				return misused(errors.New("--watch and --json cannot be used together"), terminal.HintWatchJSON)
			}
			h, chosen, err := a.hostOf(which.orAll())
			if err != nil {
				return err
			}
			code, err := a.get(cmd.Context(), h, chosen, watch)
			if err != nil {
				return err
			}
			return said(code)
		},
	}
	which.flags(cmd)
	cmd.Flags().BoolVar(&watch, "watch", false, terminal.HelpWatch)
	a.jsonFlag(cmd)
	return cmd
}

// get looks at the sites and prints what it finds, with watch again and again until it is interrupted. The exit code
// is that of the last look.
func (a *app) get(ctx context.Context, h *maintenance.Host, chosen []config.Site, watch bool) (int, error) {
	for {
		print, code, err := a.look(ctx, h, chosen)
		if ctx.Err() != nil && watch {
			return exitDone, nil
		}
		if err != nil || !watch {
			if err == nil {
				print()
			}
			return code, err
		}
		a.terminal.Watched(print)
		if errors.Is(h.Clock.Sleep(ctx, watchEvery), control.ErrInterrupted) {
			return code, nil
		}
	}
}

// look compares what there is to see of the sites, and returns what prints it.
func (a *app) look(ctx context.Context, h *maintenance.Host, chosen []config.Site) (print func(), code int, err error) {
	if !canBeHost {
		print, code = a.lookAtPublished(ctx, h, chosen)
		return print, code, nil
	}
	var views []maintenance.View
	for _, s := range chosen {
		v, err := h.View(ctx, s)
		if err != nil {
			return nil, code, err
		}
		if len(v.Drift) > 0 {
			code = exitDrift
		}
		views = append(views, v)
	}
	if h.Config.Fleet == nil {
		return func() { a.terminal.Views(views) }, code, nil
	}
	fleets, missing, err := a.fleets(ctx, h, chosen)
	if missing {
		code = exitDrift
	}
	return func() { a.terminal.FleetViews(views, fleets) }, code, err
}

// lookAtPublished is look on a machine that is no host: what is published is all that can be seen from there.
func (a *app) lookAtPublished(ctx context.Context, h *maintenance.Host, chosen []config.Site) (print func(), code int) {
	var views []maintenance.PublishedView
	for _, s := range chosen {
		v := h.ViewPublished(ctx, s)
		if len(v.Drift) > 0 {
			code = exitDrift
		}
		views = append(views, v)
	}
	return func() { a.terminal.PublishedViews(views) }, code
}
