package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/nginxconf"
)

func (a *app) renderCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "render", Short: terminal.HelpRender, Long: terminal.HelpRenderLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
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
			paths, err := h.Render(cmd.Context(), dir)
			if err != nil {
				return err
			}
			a.terminal.Rendered(paths, nginxconf.HTTPFile(dir), func(site string) string { return nginxconf.SiteFile(dir, site) }, h.Config.Sites)
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", terminal.HelpRenderOut)
	return cmd
}
