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
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// defaultEnvFiles is where Conforma's demo server keeps the env files of its sites.
const defaultEnvFiles = "/home/*/*/env_files/*.env"

func (a *app) initCommand() *cobra.Command {
	var write, undo bool
	var envFiles string
	cmd := &cobra.Command{
		Use: "init", Short: terminal.HelpInit, Long: terminal.HelpInitLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case write && undo:
				return misused(errors.New("--write and --undo cannot be used together"), fmt.Sprintf(terminal.HintUsage, "init [--write | --undo]"))
			case undo:
				return a.initUndo(cmd.Context())
			}
			return a.init(cmd.Context(), write, envFiles)
		},
	}
	cmd.Flags().BoolVar(&write, "write", false, terminal.HelpInitWrite)
	cmd.Flags().BoolVar(&undo, "undo", false, terminal.HelpInitUndo)
	cmd.Flags().StringVar(&envFiles, "env-files", defaultEnvFiles, terminal.HelpInitEnvFiles)
	return cmd
}

// findNginx finds the nginx that runs here, on this machine or in a container, and what it serves.
func findNginx(ctx context.Context) (in setup.Container, nginx control.Nginx, conf *operator.Config, err error) {
	if masters, err := (workers.Sockets{}).Masters(); err == nil { // without /proc there is the machine's own
		if in, err = setup.FindContainer(ctx, masters, control.Output); err != nil {
			return in, nginx, nil, failed(fmt.Errorf("find nginx: %w", err), terminal.HintInitContainers)
		}
	}
	nginx = control.Nginx{TestCommand: in.Nginx("-t")}
	conf, err = served(ctx, nginx)
	return in, nginx, conf, err
}

// served is what an nginx serves.
func served(ctx context.Context, nginx control.Nginx) (*operator.Config, error) {
	conf, err := nginx.Config(ctx)
	if err != nil && !errors.Is(err, control.ErrNotInstalled) {
		err = failed(err, terminal.HintInitNginx)
	}
	return conf, err
}

func (a *app) init(ctx context.Context, write bool, envFiles string) error {
	in, _, conf, err := findNginx(ctx)
	if err != nil {
		return err
	}
	file := a.configurationFile()
	vacant, err := setup.Vacant(file)
	if err != nil {
		return err
	}
	if write && !vacant {
		return a.addMissing(ctx, conf, file, in)
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
	setup.FindDatabases(ctx, found, control.Run)
	draft := setup.NewDraft(conf, found, in)
	if !write {
		a.terminal.Initial(draft, file)
		return nil
	}
	if draft.Sites == 0 {
		return failed(errors.New("write the configuration: nothing that nginx serves here can be a site as it is"), terminal.HintInitNone)
	}
	c, faults := config.Parse(file, []byte(draft.Text))
	if core := config.Of(faults, config.Core); len(core) > 0 {
		return unreadable(core)
	}
	if err := a.putInPlace(ctx, c, draft, file); err != nil {
		return err
	}
	a.terminal.Initialized(draft, file)
	return nil
}

// addMissing adds the include lines that a configuration which is there already still misses.
func (a *app) addMissing(ctx context.Context, conf *operator.Config, file string, in setup.Container) error {
	c, err := a.load()
	if err != nil {
		return err
	}
	draft := setup.Complete(conf, c, in)
	if len(draft.Lines) == 0 {
		return failed(fmt.Errorf("write the configuration: there is a configuration at %s already, and no include line is missing", file), terminal.HintInitThere)
	}
	if err := a.putInPlace(ctx, c, draft, file); err != nil {
		return err
	}
	a.terminal.Initialized(draft, file)
	return nil
}

// putInPlace puts a draft in place, and the rules for its configuration c, or leaves everything as it was.
func (a *app) putInPlace(ctx context.Context, c *config.Config, draft setup.Draft, file string) error {
	h, err := a.host(c)
	if err != nil {
		return err
	}
	test := func(ctx context.Context) error {
		if err := h.Nginx.Test(ctx); err != nil {
			return failed(err, terminal.HintInitUndone)
		}
		return nil
	}
	return h.Alone(ctx, func() error {
		rules, err := h.Rendered()
		if err != nil {
			return err
		}
		return setup.Placement{Draft: draft, File: file, Rules: rules, Test: test, Warn: a.terminal.Warn}.Put(ctx)
	})
}

// initUndo takes back what init --write did.
func (a *app) initUndo(ctx context.Context) error {
	_, nginx, conf, err := findNginx(ctx)
	if err != nil {
		return err
	}
	read := func(ctx context.Context) (*operator.Config, error) { return served(ctx, nginx) }
	test := func(ctx context.Context) error {
		if err := nginx.Test(ctx); err != nil {
			return failed(err, terminal.HintInitNotUndone)
		}
		return nil
	}
	var done setup.Undone
	undo := func() (err error) {
		done, err = setup.Undoing{Main: conf.Main, Test: test, Read: read, Warn: a.terminal.Warn}.Do(ctx)
		return err
	}
	vacant, err := setup.Vacant(a.configurationFile())
	if err == nil && vacant {
		err = undo()
	} else if err == nil {
		err = a.whileOpen(ctx, undo)
	}
	if err != nil {
		return err
	}
	a.terminal.InitUndone(done)
	return nil
}

// whileOpen does what opens every site of the configuration, where none is closed.
func (a *app) whileOpen(ctx context.Context, do func() error) error {
	h, _, err := a.hostOf(selection{all: true})
	if err != nil {
		return err
	}
	return h.Alone(ctx, func() error {
		closed, err := h.ClosedSites()
		if err != nil {
			return err
		}
		if len(closed) > 0 {
			return fmt.Errorf("%s is closed: %w", closed[0], setup.ErrClosed)
		}
		return do()
	})
}
