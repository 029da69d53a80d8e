package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/setup"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
)

// defaultEnvFiles is where Conforma's demo server keeps the env files of its sites.
const defaultEnvFiles = "/home/*/*/env_files/*.env"

func (a *app) initCommand() *cobra.Command {
	var write bool
	var envFiles string
	cmd := &cobra.Command{
		Use: "init", Short: terminal.HelpInit, Long: terminal.HelpInitLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.init(cmd.Context(), write, envFiles) },
	}
	cmd.Flags().BoolVar(&write, "write", false, terminal.HelpInitWrite)
	cmd.Flags().StringVar(&envFiles, "env-files", defaultEnvFiles, terminal.HelpInitEnvFiles)
	return cmd
}

func (a *app) init(ctx context.Context, write bool, envFiles string) error {
	dump, err := control.Nginx{TestCommand: []string{"nginx", "-t"}}.Dump(ctx)
	var conf *operator.Config
	if err == nil {
		conf, err = operator.ReadConfig(dump)
	}
	if errors.Is(err, control.ErrNotInstalled) {
		return err
	}
	if err != nil {
		return failed(err, terminal.HintInitNginx)
	}
	envs, unread, err := setup.ReadEnvFiles(envFiles)
	if err != nil {
		return usage(fmt.Errorf("read --env-files: %w", err), fmt.Sprintf(terminal.HintUsage, "init --env-files '"+defaultEnvFiles+"'"))
	}
	for _, err := range unread {
		a.terminal.Warn(err.Error())
	}
	found := setup.Guess(conf, envs)
	if len(found) == 0 {
		return failed(errors.New("read nginx's configuration: nginx serves nothing here that it hands on to an application"), terminal.HintInitNoSites)
	}
	draft, file := setup.NewDraft(conf, found), a.configurationFile()
	if !write {
		a.terminal.Initial(draft, file)
		return nil
	}
	if err := a.putInPlace(ctx, draft, file); err != nil {
		return err
	}
	a.terminal.Initialized(draft, file)
	return nil
}

// putInPlace puts a draft in place, and the rules for it, or leaves everything as it was.
func (a *app) putInPlace(ctx context.Context, draft setup.Draft, file string) error {
	vacant, err := setup.Vacant(file)
	if err != nil {
		return err
	}
	if !vacant {
		return failed(fmt.Errorf("write the configuration: there is a configuration at %s already", file), terminal.HintInitThere)
	}
	c, faults := config.Parse(file, []byte(draft.Text))
	if core := config.Of(faults, config.Core); len(core) > 0 {
		return unreadable(core)
	}
	h, err := a.host(c)
	if err != nil {
		return err
	}
	rules, err := h.Rendered()
	if err != nil {
		return err
	}
	test := func(ctx context.Context) error {
		if err := h.Nginx.Test(ctx); err != nil {
			return failed(err, terminal.HintInitUndone)
		}
		return nil
	}
	return setup.Placement{Draft: draft, File: file, Rules: rules, Test: test, Warn: a.terminal.Warn}.Put(ctx)
}
