package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/publishing"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
	"github.com/msupply-foundation/conforma-status/status/store"
)

func (a *app) publishCommand() *cobra.Command {
	var which selection
	var dryRun, prune bool
	cmd := &cobra.Command{
		Use: "publish", Short: terminal.HelpPublish, Long: terminal.HelpPublishLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, chosen, err := a.hostOf(which.orAll(), config.Tokens, config.Pages)
			if err != nil {
				return err
			}
			all, err := a.buildAll(h.Config)
			if err != nil {
				return err
			}
			all = slices.DeleteFunc(all, func(p publishing.Pages) bool {
				return !slices.ContainsFunc(chosen, func(s config.Site) bool { return s.Name == p.Site.Name })
			})
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

func (a *app) storeCommand() *cobra.Command {
	return holding("store", terminal.HelpStore, a.storeInitCommand())
}

func (a *app) storeInitCommand() *cobra.Command {
	var private bool
	cmd := &cobra.Command{
		Use: "init", Short: terminal.HelpStoreInit, Long: terminal.HelpStoreInitLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, _, err := a.hostOf(selection{all: true}, config.Tokens, config.Pages)
			if err != nil {
				return err
			}
			p, ok := h.Store.(store.Preparer)
			if !ok {
				panic("main: a store that can't be prepared")
			}
			if err := p.Prepare(cmd.Context(), private, func(did store.Prepared) { a.terminal.Prepared(h.Config.Store, did) }); err != nil {
				return fmt.Errorf("set up the store: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&private, "private", false, terminal.HelpStorePrivate)
	return cmd
}
