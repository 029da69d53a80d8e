package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"github.com/xhit/go-str2duration/v2"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
)

// passFlags are the flags of pass.
type passFlags struct {
	site, ttl string
	revoke    bool
}

func (a *app) passCommand() *cobra.Command {
	var f passFlags
	cmd := &cobra.Command{
		Use: "pass", Short: terminal.HelpPass, Long: terminal.HelpPassLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.revoke && cmd.Flags().Changed("ttl") {
				return misused(errors.New("--revoke and --ttl exclude each other"), terminal.HintRevokeTTL)
			}
			lasts, err := str2duration.ParseDuration(f.ttl)
			if err != nil || lasts < time.Minute || lasts > gate.MaxPass {
				return misused(fmt.Errorf("--ttl %q is not a duration from 1m to 24h", f.ttl), terminal.HintTTL)
			}
			var which selection
			if cmd.Flags().Changed("site") {
				which.names = []string{f.site}
			}
			if f.revoke {
				return a.revoke(which)
			}
			return a.pass(cmd.Context(), which, lasts)
		},
	}
	cmd.Flags().StringVar(&f.site, "site", "", terminal.HelpOneSite)
	cmd.Flags().StringVar(&f.ttl, "ttl", "1h", terminal.HelpTTL)
	cmd.Flags().BoolVar(&f.revoke, "revoke", false, terminal.HelpRevoke)
	a.jsonFlag(cmd)
	return cmd
}

// revoke ends all passes of a site.
func (a *app) revoke(which selection) error {
	h, chosen, err := a.hostOf(which)
	if err != nil {
		return err
	}
	site := chosen[0]
	had, err := h.RevokePasses(site)
	if err != nil {
		return fmt.Errorf("revoke the passes of %s: %w", site.Name, err)
	}
	a.terminal.PassesRevoked(site.Name, had)
	return nil
}

// pass makes a pass and prints its link.
func (a *app) pass(ctx context.Context, which selection, lasts time.Duration) error {
	h, chosen, err := a.hostOf(which, config.Tokens)
	if err != nil {
		return err
	}
	if err := withoutJWT(h.Config, chosen); err != nil {
		return err
	}
	s := chosen[0]
	shared, err := secrets(s)
	if err != nil {
		return err
	}
	window, epoch, err := h.PassKeys(ctx, s)
	if err != nil {
		return fmt.Errorf("make a pass: %w", err)
	}
	u, err := url.Parse(s.AppURL)
	if err != nil {
		return err // it was parsed when the configuration was read
	}
	p := gate.NewPass(time.Now().Add(lasts))
	link, err := p.Link(shared[0], s.Name, window, epoch)
	if err != nil {
		return fmt.Errorf("make a pass: %w", err)
	}
	a.missGate(ctx, h.Config.Gate.Socket)
	a.terminal.PassMade(terminal.Pass{
		Site: s.Name, Pass: p.ID, Link: u.Scheme + "://" + u.Host + gate.PassPath + "#" + link, ExpiresAt: p.Expires.UTC(),
	})
	return nil
}
