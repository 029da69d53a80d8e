package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/publishing"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
)

func (a *app) buildCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "build --out DIR", Short: terminal.HelpBuild, Long: terminal.HelpBuildLong, Args: arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if out == "" {
				return misused(errors.New("build needs --out: the directory to write to"), terminal.HintOut)
			}
			c, err := a.load(config.Pages)
			if err != nil {
				return err
			}
			all, err := a.buildAll(c)
			if err != nil {
				return err
			}
			if err := a.write(out, all); err != nil {
				return fmt.Errorf("build the maintenance site: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", terminal.HelpBuildOut)
	return cmd
}

// write writes the pages of all sites below a directory.
func (a *app) write(dir string, all []publishing.Pages) error {
	for _, p := range all {
		for _, f := range p.Files {
			path := filepath.Join(dir, filepath.FromSlash(f.Key))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			if err := durable.WriteFile(path, f.Data, 0o644); err != nil {
				return err
			}
			a.terminal.Built(path, len(f.Data))
		}
	}
	return nil
}

// buildAll builds the maintenance pages of every site, and says what their authors may not know of them.
func (a *app) buildAll(c *config.Config) ([]publishing.Pages, error) {
	all, remarks, err := publishing.Build(c)
	for _, r := range remarks {
		a.terminal.Warn(r.String())
	}
	return all, err
}
