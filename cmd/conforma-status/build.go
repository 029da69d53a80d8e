package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/content"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status/fault"
)

func (a *app) buildCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "build --out DIR", Short: helpBuild, Long: helpBuildLong, Args: arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if out == "" {
				return misused(errors.New(wordNoOut), hintOut)
			}
			c, err := a.load(config.Pages)
			if err != nil {
				return err
			}
			all, err := a.buildAll(c)
			if err != nil {
				return err
			}
			var files []site.File
			for _, p := range all {
				files = append(files, p.files...)
			}
			for _, f := range files {
				path := filepath.Join(out, filepath.FromSlash(f.Key))
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					return failed(fmt.Errorf("build the maintenance site: %w", err))
				}
				if err := durable.WriteFile(path, f.Data, 0o644); err != nil {
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

// contents are what the pages of a configuration's sites say, by site. A site has what lies in the folder of content, or
// is built in, with the files over it that lie in a folder there of its own name.
func contents(c *config.Config) (map[string]*site.Content, error) {
	var from fs.FS = content.FS
	where := wordBuiltIn
	if c.Content != "" {
		info, err := os.Stat(c.Content)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf(wordNotADirectory, c.Content)
		}
		if err != nil {
			return nil, usage(fmt.Errorf("read the content: %s:%d: content: %w", c.File, c.ContentLine, err), hintContent)
		}
		from, where = os.DirFS(c.Content), c.Content
	}
	out := map[string]*site.Content{}
	var shared *site.Content // of the sites that have no folder of their own
	var wrong fault.List
	for _, s := range c.Sites {
		info, err := fs.Stat(from, s.Name)
		own := err == nil && info.IsDir()
		if !own && shared != nil {
			out[s.Name] = shared
			continue
		}
		loaded, err := site.LoadContent(from, s.Name)
		var faults fault.List
		if errors.As(err, &faults) {
			wrong = append(wrong, faults...)
			continue
		}
		if err != nil {
			return nil, usage(fmt.Errorf("read the content in %s: %w", where, err), hintContent)
		}
		if out[s.Name] = loaded; !own {
			shared = loaded
		}
	}
	if len(wrong) == 0 {
		return out, nil
	}
	wrong = wrong.Below(where)
	var hints []string
	for _, f := range wrong {
		if f.Hint != "" && !slices.Contains(hints, f.Hint) {
			hints = append(hints, f.Hint)
		}
	}
	// Not wrapped: what to do stands here, and is not said of each fault.
	return nil, usage(fmt.Errorf("read the content: %v", wrong), hints...)
}

func pageOf(s config.Site) site.Site {
	return site.Site{
		Name: s.Name, Path: s.Path, AppURL: s.AppURL, PageURL: s.PageURL,
		LoginPath: nginxconf.LoginPage(s.Preset, s.LoginPaths),
	}
}

// pages are what is built for one site.
type pages struct {
	site      config.Site
	languages []string // that of the main page first
	files     []site.File
}

// buildAll builds the maintenance pages of every site, and says what their authors may not know of them.
func (a *app) buildAll(c *config.Config) ([]pages, error) {
	all, remarks, err := buildPages(c)
	for _, r := range remarks {
		a.ui.warn(r.String())
	}
	return all, err
}

func buildPages(c *config.Config) (all []pages, remarks fault.List, err error) {
	loaded, err := contents(c)
	if err != nil {
		return nil, nil, err
	}
	owner := map[string]config.Site{} // by key
	for _, s := range c.Sites {
		remarks = append(remarks, loaded[s.Name].Remarks()...)
		built, err := site.Build(loaded[s.Name], pageOf(s))
		if err != nil {
			return nil, nil, failed(fmt.Errorf("build the page of %s: %w", s.Name, err))
		}
		for _, f := range built {
			if other, taken := owner[f.Key]; taken {
				return nil, nil, usage(fmt.Errorf(wordSamePlace, c.File, s.Line, s.Name, f.Key, other.Name), hintSamePlace)
			}
			owner[f.Key] = s
		}
		all = append(all, pages{s, loaded[s.Name].Languages(), built})
	}
	return all, remarks.Below(cmp.Or(c.Content, wordBuiltIn)), nil
}
