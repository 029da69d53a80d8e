package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
)

func (a *app) secretCommand() *cobra.Command {
	var which selection
	cmd := &cobra.Command{Use: "secret", Short: terminal.HelpSecret, Args: cobra.ArbitraryArgs, RunE: wantsMore}
	initialize := &cobra.Command{
		Use: "init", Short: terminal.HelpSecretInit, Long: terminal.HelpSecretInitLong, Args: arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			c, chosen, err := a.loadSites(which, config.Tokens)
			if err != nil {
				return err
			}
			if err := withoutJWT(c, chosen); err != nil {
				return err
			}
			for _, s := range chosen {
				path := s.JWT.SecretEnvFile
				if path == "" {
					path = s.JWT.SecretFile
				}
				made, err := gate.InitSecret(path, s.JWT.SecretEnvFile != "")
				switch {
				case err != nil && gate.Hint(err) != "":
					return usage(fmt.Errorf("keep the secret of %s: %w", s.Name, err))
				case errors.Is(err, fs.ErrNotExist):
					return failed(err, terminal.HintSecretDir)
				case err != nil:
					return err
				}
				a.terminal.SecretMade(s.Name, path, made)
			}
			return nil
		},
	}
	which.flags(initialize)
	cmd.AddCommand(initialize)
	return cmd
}
