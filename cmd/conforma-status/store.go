package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/status/store"
)

func (a *app) storeCommand() *cobra.Command {
	return holding("store", terminal.HelpStore, a.storeInitCommand())
}

func (a *app) storeInitCommand() *cobra.Command {
	var private bool
	cmd := &cobra.Command{
		Use: "init", Short: terminal.HelpStoreInit, Long: terminal.HelpStoreInitLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load(config.Tokens, config.Pages)
			if err != nil {
				return err
			}
			h, err := a.host(c)
			if err != nil {
				return err
			}
			p, ok := h.Store.(store.Preparer)
			if !ok {
				panic("main: a store that can't be prepared")
			}
			if err := p.Prepare(cmd.Context(), private, func(did store.Prepared) { a.terminal.Prepared(c.Store, did) }); err != nil {
				return fmt.Errorf("set up the store: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&private, "private", false, terminal.HelpStorePrivate)
	return cmd
}
