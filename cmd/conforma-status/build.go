package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/content"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/site"
)

func (a *app) buildCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "build --out DIR", Short: helpBuild, Long: helpBuildLong, Args: arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if out == "" {
				return usage(errors.New(wordNoOut), hintOut)
			}
			c, err := a.load(config.Pages)
			if err != nil {
				return err
			}
			files, err := buildAll(c)
			if err != nil {
				return err
			}
			for _, f := range files {
				path := filepath.Join(out, filepath.FromSlash(f.Key))
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					return failed(fmt.Errorf("build the maintenance site: %w", err))
				}
				if err := nginxconf.WriteFile(path, f.Data, 0o644); err != nil {
					return failed(fmt.Errorf("build the maintenance site: %w", err))
				}
				a.ui.built(path, len(f.Data))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", helpBuildOut)
	return cmd
}

// loadContent reads the operator's content, or the built-in one.
func loadContent(c *config.Config) (*site.Content, error) {
	var from fs.FS = content.FS
	where := wordBuiltIn
	if c.Content != "" {
		info, err := os.Stat(c.Content)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf(wordNotADirectory, c.Content)
		}
		if err != nil {
			return nil, usage(fmt.Errorf("read the content: %w", err), hintContent)
		}
		from, where = os.DirFS(c.Content), c.Content
	}
	loaded, err := site.LoadContent(from)
	if err == nil {
		return loaded, nil
	}
	var faults site.Faults
	if errors.As(err, &faults) {
		var hints []string
		for i := range faults {
			faults[i].File = filepath.Join(where, faults[i].File)
			if faults[i].Hint != "" {
				hints = append(hints, faults[i].Hint)
			}
		}
		return nil, usage(fmt.Errorf("read the content: %w", faults), hints...)
	}
	return nil, usage(fmt.Errorf("read the content in %s: %w", where, err), hintContent)
}

func pageOf(s config.Site) site.Site {
	return site.Site{
		Name: s.Name, Path: s.Path, AppURL: s.AppURL, PageURL: s.PageURL,
		LoginPath: nginxconf.LoginPage(s.Preset, s.LoginPaths),
	}
}

// buildAll builds the maintenance pages of every site.
func buildAll(c *config.Config) ([]site.File, error) {
	loaded, err := loadContent(c)
	if err != nil {
		return nil, err
	}
	var files []site.File
	for _, s := range c.Sites {
		built, err := site.Build(loaded, pageOf(s))
		if err != nil {
			return nil, failed(fmt.Errorf("build the page of %s: %w", s.Name, err))
		}
		files = append(files, built...)
	}
	return files, nil
}
