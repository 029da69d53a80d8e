package main

import (
	"errors"
	"fmt"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/demo"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
)

func (a *app) demoCommand() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use: "demo", Short: terminal.HelpDemo, Long: terminal.HelpDemoLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			// A terminal that is closed, or a reader of the output that has gone, leaves nothing behind either.
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP, syscall.SIGPIPE)
			defer stop()
			err := demo.Run(ctx, a.terminal, once)
			switch {
			case errors.Is(err, demo.ErrNoNginx):
				return failed(fmt.Errorf("demo: %w", err), terminal.HintDemoNoNginx)
			case err != nil:
				return fmt.Errorf("demo: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, terminal.HelpDemoOnce)
	return cmd
}
