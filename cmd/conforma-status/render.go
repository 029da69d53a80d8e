package main

import (
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/nginxconf"
)

func (a *app) renderCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "render", Short: helpRender, Long: helpRenderLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load()
			if err != nil {
				return err
			}
			h, err := a.host(c)
			if err != nil {
				return err
			}
			dir := c.Nginx.ConfDir
			if out != "" {
				if dir, err = filepath.Abs(out); err != nil {
					return failed(err)
				}
			}
			paths, err := h.Render(cmd.Context(), dir)
			if errors.Is(err, maintenance.ErrInterrupted) {
				return failed(err, hintInterrupted)
			}
			if err != nil {
				return a.stateError(err)
			}
			a.ui.rendered(paths, nginxconf.HTTPFile(dir), func(site string) string { return nginxconf.SiteFile(dir, site) }, c.Sites)
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", helpRenderOut)
	return cmd
}
