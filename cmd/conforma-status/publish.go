package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/publishing"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
)

func (a *app) publishCommand() *cobra.Command {
	var which selection
	var dryRun, prune bool
	cmd := &cobra.Command{
		Use: "publish", Short: terminal.HelpPublish, Long: terminal.HelpPublishLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, chosen, err := a.loadSites(which.orAll(), config.Tokens, config.Pages)
			if err != nil {
				return err
			}
			all, err := a.buildAll(c)
			if err != nil {
				return err
			}
			all = slices.DeleteFunc(all, func(p publishing.Pages) bool {
				return !slices.ContainsFunc(chosen, func(s config.Site) bool { return s.Name == p.Site.Name })
			})
			h, err := a.host(c)
			if err != nil {
				return err
			}
			done, err := publishing.Publisher{Host: h, Progress: a.terminal, DryRun: dryRun, Prune: prune}.Publish(cmd.Context(), all)
			if err != nil {
				return err
			}
			a.terminal.Published(done, dryRun, prune)
			return nil
		},
	}
	which.flags(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, terminal.HelpPublishDryRun)
	cmd.Flags().BoolVar(&prune, "prune", false, terminal.HelpPrune)
	a.jsonFlag(cmd)
	return cmd
}
