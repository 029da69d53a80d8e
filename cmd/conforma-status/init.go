package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/setup"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
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
	var inv operator.Inventory
	if err == nil {
		inv, err = operator.ReadInventory(dump)
	}
	if errors.Is(err, control.ErrNotInstalled) {
		return err
	}
	if err != nil {
		return failed(err, terminal.HintInitNginx)
	}
	var envs []setup.EnvFile
	paths, err := filepath.Glob(envFiles)
	if err != nil {
		return usage(fmt.Errorf("read --env-files: %w", err), fmt.Sprintf(terminal.HintUsage, "init --env-files '"+defaultEnvFiles+"'"))
	}
	for _, path := range paths {
		if data, err := os.ReadFile(path); err != nil {
			a.terminal.Warn(err.Error())
		} else {
			envs = append(envs, setup.EnvFile{Path: path, Port: setup.ReadPort(string(data))})
		}
	}
	found := setup.Guess(inv, envs)
	if len(found) == 0 {
		return failed(errors.New("read nginx's configuration: nginx serves nothing here that it hands on to an application"), terminal.HintInitNoSites)
	}
	text, lines := setup.Configuration(inv, found), setup.Lines(inv, found)
	file := a.configurationFile()
	if !write {
		a.terminal.Initial(text, lines, file)
		return nil
	}
	if err := a.putInPlace(ctx, file, text, lines, setup.ConfDir(inv)); err != nil {
		return err
	}
	a.terminal.Initialized(file, lines, filepath.Join(setup.ConfDir(inv), "backup"))
	return nil
}

// putInPlace writes the rules, the include lines and, when nginx takes them, the configuration; or it leaves everything as it was.
// Whenever it is killed, nginx has all that it includes, and the next call does the rest.
func (a *app) putInPlace(ctx context.Context, file, text string, lines []setup.Line, confDir string) (err error) {
	was, err := os.ReadFile(file)
	switch {
	case err == nil && !config.Empty(was):
		return failed(fmt.Errorf("write the configuration: there is a configuration at %s already", file), terminal.HintInitThere)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	c, faults := config.Parse(file, []byte(text))
	if core := config.Of(faults, config.Core); len(core) > 0 {
		return unreadable(core)
	}
	h, err := a.host(c)
	if err != nil {
		return err
	}
	rendered, err := h.Rendered()
	if err != nil {
		return err
	}
	rules := map[string][]byte{}
	for path, data := range rendered {
		rules[filepath.Join(confDir, path)] = data
	}
	backups := filepath.Join(confDir, "backup")
	var undo []func() error
	defer func() {
		if err == nil {
			return
		}
		for _, step := range slices.Backward(undo) {
			if undone := step(); undone != nil {
				a.terminal.Warn(undone.Error())
			}
		}
	}()
	if _, missing := os.Lstat(confDir); errors.Is(missing, fs.ErrNotExist) {
		undo = append(undo, func() error { return os.RemoveAll(confDir) })
	}
	remove, err := nginxconf.Install(rules)
	if err != nil {
		return fmt.Errorf("put the rules in place: %w", err)
	}
	undo = append(undo, remove)
	restore, err := setup.Add(lines, backups)
	undo = append(undo, restore)
	if err != nil {
		return err
	}
	if err := h.Nginx.Test(ctx); err != nil {
		return failed(err, terminal.HintInitUndone)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := durable.WriteFile(file, []byte(text), 0o644); err != nil {
		return err
	}
	return nil
}
