package main

import (
	"github.com/spf13/cobra"
)

func (a *app) reconcileCommand() *cobra.Command {
	drain := defaultDrain
	var asJSON bool
	cmd := &cobra.Command{
		Use: "reconcile", Short: helpReconcile, Long: helpReconcileLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.ui.json = asJSON
			c, err := a.load()
			if err != nil {
				return err
			}
			h, err := a.host(c)
			if err != nil {
				return err
			}
			receipts, err := h.Reconcile(cmd.Context(), drain)
			a.metrics(cmd.Context(), c, h)
			if err != nil && len(receipts) > 0 {
				_ = a.report(receipts)
			}
			if err != nil {
				return a.stateError(err)
			}
			return a.report(receipts)
		},
	}
	cmd.Flags().Var(&wait{&drain}, "drain", helpDrain)
	cmd.Flags().BoolVar(&asJSON, "json", false, helpJSON)
	return cmd
}
