package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/setup"
	"github.com/msupply-foundation/conforma-status/nginxconf"
)

// defaultEnvFiles is where Conforma's demo server keeps the env files of its sites.
const defaultEnvFiles = "/home/*/*/env_files/*.env"

func (a *app) initCommand() *cobra.Command {
	var write bool
	var envFiles string
	cmd := &cobra.Command{
		Use: "init", Short: helpInit, Long: helpInitLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.init(cmd.Context(), write, envFiles) },
	}
	cmd.Flags().BoolVar(&write, "write", false, helpInitWrite)
	cmd.Flags().StringVar(&envFiles, "env-files", defaultEnvFiles, helpInitEnvFiles)
	return cmd
}

func (a *app) init(ctx context.Context, write bool, envFiles string) error {
	dump, err := nginxconf.Nginx{TestCommand: []string{"nginx", "-t"}}.Dump(ctx)
	var inv nginxconf.Inventory
	if err == nil {
		inv, err = nginxconf.ReadInventory(dump)
	}
	if errors.Is(err, nginxconf.ErrNotInstalled) {
		return failed(err, hintNotInstalled)
	}
	if err != nil {
		return failed(err, hintInitNginx)
	}
	var envs []setup.EnvFile
	paths, err := filepath.Glob(envFiles)
	if err != nil {
		return usage(fmt.Errorf("read --env-files: %w", err), fmt.Sprintf(hintUsage, "init --env-files '"+defaultEnvFiles+"'"))
	}
	for _, path := range paths {
		if data, err := os.ReadFile(path); err != nil {
			a.ui.warn(err.Error())
		} else {
			envs = append(envs, setup.EnvFile{Path: path, Port: setup.ReadPort(string(data))})
		}
	}
	found := setup.Guess(inv, envs)
	if len(found) == 0 {
		return failed(errors.New(wordInitNoSites), hintInitNoSites)
	}
	text, lines := setup.Configuration(inv, found), setup.Lines(inv, found)
	file := a.configurationFile()
	if !write {
		a.ui.initial(text, lines, file)
		return nil
	}
	if err := a.putInPlace(ctx, file, text, lines, setup.ConfDir(inv)); err != nil {
		return err
	}
	a.ui.initialized(file, lines, filepath.Join(setup.ConfDir(inv), "backup"))
	return nil
}

// putInPlace writes the configuration, the rules and the include lines, or leaves everything as it was.
func (a *app) putInPlace(ctx context.Context, file, text string, lines []setup.Line, confDir string) (err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return failed(err, fileHint(err))
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return failed(fmt.Errorf(wordInitThere, file), hintInitThere)
	}
	if err != nil {
		return failed(err, fileHint(err))
	}
	var undo []func() error
	defer func() {
		if err == nil {
			return
		}
		for i := len(undo) - 1; i >= 0; i-- {
			if undone := undo[i](); undone != nil {
				a.ui.warn(undone.Error())
			}
		}
	}()
	undo = append(undo, func() error { return os.Remove(file) })
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return failed(err, fileHint(err))
	}
	c, _, err := config.Load(file)
	if err != nil {
		return unreadable(err)
	}
	h, err := a.host(c)
	if err != nil {
		return err
	}
	_, missing := os.Stat(confDir)
	rendered, err := h.Render(ctx, confDir)
	undo = append(undo, func() error {
		if errors.Is(missing, fs.ErrNotExist) {
			return os.RemoveAll(confDir)
		}
		for _, path := range rendered {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return a.stateError(err)
	}
	restore, err := setup.Add(lines, filepath.Join(confDir, "backup"))
	undo = append(undo, restore)
	if err != nil {
		return failed(err, fileHint(err))
	}
	if err := h.Nginx.Test(ctx); err != nil {
		return failed(err, hintInitUndone)
	}
	return nil
}
