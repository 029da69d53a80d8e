package main

import (
	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/cmd/internal/when"
)

func (a *app) reconcileCommand() *cobra.Command {
	drain := defaultDrain
	cmd := &cobra.Command{
		Use: "reconcile", Short: terminal.HelpReconcile, Long: terminal.HelpReconcileLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, _, err := a.hostOf(selection{all: true})
			if err != nil {
				return err
			}
			a.meet(h)
			receipts, err := h.Reconcile(cmd.Context(), drain)
			a.tell(cmd.Context(), h)
			return a.came(receipts, err)
		},
	}
	cmd.Flags().Var(&when.Wait{D: &drain}, "drain", terminal.HelpDrain)
	a.jsonFlag(cmd)
	return cmd
}
