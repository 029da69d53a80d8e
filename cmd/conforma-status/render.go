package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/publishing"
	"github.com/msupply-foundation/conforma-status/cmd/internal/setup"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/nginxconf"
)

func (a *app) renderCommand() *cobra.Command {
	var out string
	var standby bool
	cmd := &cobra.Command{
		Use: "render", Short: terminal.HelpRender, Long: terminal.HelpRenderLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if standby && out == "" {
				return misused(errors.New("--standby needs --out: what it writes is for another machine"),
					fmt.Sprintf(terminal.HintUsage, "conforma-status render --standby --out DIR"))
			}
			h, _, err := a.hostOf(selection{all: true})
			if err != nil {
				return err
			}
			dir := h.Config.Nginx.ConfDir
			if out != "" {
				if dir, err = filepath.Abs(out); err != nil {
					return failed(err)
				}
			}
			if standby {
				return a.renderStandby(cmd.Context(), h, dir)
			}
			paths, err := h.Render(cmd.Context(), dir)
			if err != nil {
				return err
			}
			a.terminal.Rendered(paths, nginxconf.HTTPFile(dir), func(site string) string { return nginxconf.SiteFile(dir, site) }, h.Config.Sites)
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", terminal.HelpRenderOut)
	cmd.Flags().BoolVar(&standby, "standby", false, terminal.HelpRenderStandby)
	return cmd
}

// Files of Debian's, and of most others'.
const (
	resolvConf  = "/etc/resolv.conf"
	authorities = "/etc/ssl/certs/ca-certificates.crt"
)

// renderStandby writes what a second machine needs to answer for the sites into dir.
func (a *app) renderStandby(ctx context.Context, h *maintenance.Host, dir string) error {
	c := h.Config
	conf, err := h.Nginx.Config(ctx)
	if err != nil {
		return failed(fmt.Errorf("render the standby: %w", err), terminal.HintInitNginx)
	}
	plan, err := setup.Standby(conf, c, dir)
	if err != nil {
		return failed(fmt.Errorf("render the standby: %w", err), terminal.HintStandbyUnknown)
	}
	plan.Host, plan.Resolvers = setup.OwnAddress(), setup.NameServers(resolvConf)
	if _, err := os.Stat(authorities); err == nil {
		for i := range plan.Sites {
			plan.Sites[i].Stored.CAFile = authorities
		}
	}
	files, err := plan.Files()
	if err != nil {
		return failed(fmt.Errorf("render the standby: %w", err), terminal.HintStandbyUnknown)
	}
	if slices.ContainsFunc(c.Sites, func(s config.Site) bool { return s.ShowsPage() }) {
		built, _, err := publishing.Build(c)
		if err != nil {
			return err
		}
		for _, pages := range built {
			for name, data := range pages.InPlace {
				files[filepath.Join(nginxconf.StandbySiteDir(pages.Site.Name), nginxconf.PageFile(name))] = data
			}
		}
	}
	paths, err := setup.WriteStandby(dir, files)
	if err != nil {
		return failed(fmt.Errorf("render the standby: %w", err), terminal.HintStandbyTaken)
	}
	a.terminal.Standby(paths, filepath.Join(dir, nginxconf.StandbyFile), plan.Host, strings.Join(plan.Resolvers, ", "), certificatesOf(plan))
	return nil
}

// certificatesOf are the files that a standby's nginx reads beside its own, each once.
func certificatesOf(s nginxconf.Standby) []string {
	var out []string
	for _, site := range s.Sites {
		for _, server := range site.Servers {
			for _, c := range server.Certificates {
				out = append(out, c.File, c.Key)
			}
			if server.PasswordFile != "" {
				out = append(out, server.PasswordFile)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
