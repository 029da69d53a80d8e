package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/setup"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers/barrier"
)

// liftCommand is what the package calls when it is removed: afterwards nobody could lift the kernel barriers. It also
// writes into the records that the sites have none, where it can read their configuration.
func (a *app) liftCommand() *cobra.Command {
	return &cobra.Command{
		Use: "lift", Short: terminal.HelpLift, Long: terminal.HelpLiftLong, Args: arguments(cobra.NoArgs), Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), liftTimeout)
			defer cancel()
			var errs []error
			if c, _, err := config.Load(a.configurationFile()); err == nil {
				if h, err := a.host(c); err == nil {
					errs = append(errs, h.ForgetBarrier(ctx))
				}
			}
			if _, err := (barrier.Barrier{}).RemoveAll(ctx, 0); !errors.Is(err, barrier.ErrNoNftables) {
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		},
	}
}

// liftTimeout bounds how long the kernel is waited for.
const liftTimeout = 10 * time.Second

// unitsCommand is what systemd calls whenever it reads its units (deploy/systemd/conforma-status-generator). It tells
// the units what they have to know of the configuration.
func (a *app) unitsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "units DIR", Short: terminal.HelpUnits, Long: terminal.HelpUnitsLong, Args: arguments(cobra.ExactArgs(1)), Hidden: true,
		RunE: func(_ *cobra.Command, args []string) error {
			file := a.configurationFile()
			c, _, err := config.Load(file)
			if data, unread := os.ReadFile(file); errors.Is(err, config.ErrNoFile) || unread == nil && config.Empty(data) {
				return nil // not set up yet
			}
			if err != nil {
				return unreadable(err)
			}
			return setup.Units(args[0], file, c)
		},
	}
}
