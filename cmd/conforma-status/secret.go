package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
)

// initSecret writes the secret of a site where there is none, and reports whether it did.
func initSecret(c *config.Config, s config.Site) (made bool, err error) {
	path, _ := secretFile(c, s)
	if s.JWT == nil {
		if err := state.MakeDirs(filepath.Dir(path)); err != nil {
			return false, err
		}
	}
	made, err = gate.InitSecret(path, s.JWT != nil && s.JWT.SecretEnvFile != "")
	switch {
	case err != nil && gate.Hint(err) != "":
		return false, usage(fmt.Errorf("keep the secret of %s: %w", s.Name, err))
	case errors.Is(err, fs.ErrNotExist):
		return false, failed(err, terminal.HintSecretDir)
	}
	return made, err
}

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
			for _, s := range chosen {
				path, _ := secretFile(c, s)
				made, err := initSecret(c, s)
				if err != nil {
					return err
				}
				if s.JWT == nil {
					a.terminal.PassKeyMade(s.Name, path, made)
				} else {
					a.terminal.SecretMade(s.Name, path, made)
				}
			}
			return nil
		},
	}
	which.flags(initialize)
	cmd.AddCommand(initialize)
	return cmd
}
