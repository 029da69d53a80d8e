package main

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"github.com/xhit/go-str2duration/v2"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
)

func (a *app) passCommand() *cobra.Command {
	var name, ttl string
	var revoke bool
	cmd := &cobra.Command{
		Use: "pass", Short: terminal.HelpPass, Long: terminal.HelpPassLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if revoke && cmd.Flags().Changed("ttl") {
				return misused(errors.New("--revoke and --ttl exclude each other"), terminal.HintRevokeTTL)
			}
			lasts, err := str2duration.ParseDuration(ttl)
			if err != nil || lasts < time.Minute || lasts > gate.MaxPass {
				return misused(fmt.Errorf("--ttl %q is not a duration from 1m to 24h", ttl), terminal.HintTTL)
			}
			var which selection
			if cmd.Flags().Changed("site") {
				which.names = []string{name}
			}
			var stops []config.Scope
			if !revoke {
				stops = append(stops, config.Tokens)
			}
			c, chosen, err := a.loadSites(which, stops...)
			if err != nil {
				return err
			}
			h, err := a.host(c)
			if err != nil {
				return err
			}
			if revoke {
				had, err := h.RevokePasses(chosen[0])
				if err != nil {
					return fmt.Errorf("revoke the passes of %s: %w", chosen[0].Name, err)
				}
				a.terminal.PassesRevoked(chosen[0].Name, had)
				return nil
			}
			return a.pass(cmd, h, chosen[0], lasts)
		},
	}
	cmd.Flags().StringVar(&name, "site", "", terminal.HelpOneSite)
	cmd.Flags().StringVar(&ttl, "ttl", "1h", terminal.HelpTTL)
	cmd.Flags().BoolVar(&revoke, "revoke", false, terminal.HelpRevoke)
	a.jsonFlag(cmd)
	return cmd
}

// pass makes a pass and prints its link.
func (a *app) pass(cmd *cobra.Command, h *maintenance.Host, s config.Site, lasts time.Duration) error {
	if err := withoutJWT(h.Config, []config.Site{s}); err != nil {
		return err
	}
	shared, err := secrets(s)
	if err != nil {
		return err
	}
	window, epoch, err := h.PassKeys(cmd.Context(), s)
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
	a.missGate(cmd.Context(), h.Config.Gate.Socket)
	a.terminal.PassMade(terminal.Pass{
		Site: s.Name, Pass: p.ID, Link: u.Scheme + "://" + u.Host + gate.PassPath + "#" + link, ExpiresAt: p.Expires.UTC(),
	})
	return nil
}
