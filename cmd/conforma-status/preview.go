package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/preview"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/status/fault"
)

// previewAddress is a port that few others use; the same one each time, so that the browser's tab can stay.
const previewAddress = "127.0.0.1:4870"

func (a *app) previewCommand() *cobra.Command {
	listen := previewAddress
	cmd := &cobra.Command{
		Use: "preview", Short: terminal.HelpPreview, Long: terminal.HelpPreviewLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.preview(cmd.Context(), listen) },
	}
	cmd.Flags().StringVar(&listen, "listen", listen, terminal.HelpPreviewListen)
	return cmd
}

// preview serves the maintenance site until it is told to stop, and builds it anew whenever its content changes.
func (a *app) preview(ctx context.Context, listen string) error {
	c, err := a.load(config.Pages)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return failed(fmt.Errorf("preview: %w", err), terminal.HintPreviewListen)
	}
	base := "http://" + l.Addr().String()
	p := preview.New(c, base, time.Now)
	a.say(p.Build())
	a.terminal.Previewing(base, c.Content)
	err = p.Serve(ctx, l, func(remarks fault.List, err error) {
		a.say(remarks, err)
		a.terminal.Rebuilt(err == nil)
	})
	if err != nil {
		return fmt.Errorf("preview: %w", err)
	}
	return nil
}

// say says what came of building the maintenance site.
func (a *app) say(remarks fault.List, err error) {
	if err != nil {
		a.terminal.Fail(err)
	}
	for _, r := range remarks {
		a.terminal.Warn(r.String())
	}
}
