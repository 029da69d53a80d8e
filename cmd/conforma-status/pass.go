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
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
)

// sitePass is what pass prints in JSON of a new pass; its link is a secret.
type sitePass struct {
	Site      string    `json:"site"`
	Pass      string    `json:"pass"` // its name in the gate's log
	Link      string    `json:"link"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// revokedPasses is what pass --revoke prints in JSON.
type revokedPasses struct {
	Site    string `json:"site"`
	Revoked bool   `json:"revoked"` // false where no pass was made since the last time
}

func (a *app) passCommand() *cobra.Command {
	var name, ttl string
	var revoke, asJSON bool
	cmd := &cobra.Command{
		Use: "pass", Short: helpPass, Long: helpPassLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.ui.json = asJSON
			if revoke && cmd.Flags().Changed("ttl") {
				return misused(errors.New(wordRevokeTTL), hintRevokeTTL)
			}
			lasts, err := str2duration.ParseDuration(ttl)
			if err != nil || lasts < time.Minute || lasts > gate.MaxPass {
				return misused(fmt.Errorf(wordTTL, ttl), hintTTL)
			}
			var scopes []config.Scope
			if !revoke {
				scopes = append(scopes, config.Tokens)
			}
			var names []string
			if cmd.Flags().Changed("site") {
				names = []string{name}
			}
			c, chosen, err := a.loadSites(names, false, scopes...)
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
					return a.stateError(fmt.Errorf("revoke the passes of %s: %w", chosen[0].Name, err))
				}
				a.ui.passesRevoked(revokedPasses{chosen[0].Name, had})
				return nil
			}
			return a.pass(cmd, h, chosen[0], lasts)
		},
	}
	cmd.Flags().StringVar(&name, "site", "", helpOneSite)
	cmd.Flags().StringVar(&ttl, "ttl", "1h", helpTTL)
	cmd.Flags().BoolVar(&revoke, "revoke", false, helpRevoke)
	cmd.Flags().BoolVar(&asJSON, "json", false, helpJSON)
	return cmd
}

// pass makes a pass and prints its link.
func (a *app) pass(cmd *cobra.Command, h *maintenance.Host, s config.Site, lasts time.Duration) error {
	if err := withoutJWT(h.Config, []config.Site{s}); err != nil {
		return err
	}
	secrets, err := secretSource(s)()
	if err != nil {
		return usage(fmt.Errorf("read the secret of %s: %w", s.Name, err), gate.Hint(err))
	}
	window, epoch, err := h.PassKeys(cmd.Context(), s)
	if errors.Is(err, maintenance.ErrNotAdmin) {
		return failed(fmt.Errorf("make a pass: %w", err), hintNotAdmin)
	}
	if err != nil {
		return a.stateError(fmt.Errorf("make a pass: %w", err))
	}
	u, err := url.Parse(s.AppURL)
	if err != nil {
		return err // it was parsed when the configuration was read
	}
	p := gate.NewPass(time.Now().Add(lasts))
	link, err := p.Link(secrets[0], s.Name, window, epoch)
	if err != nil {
		return failed(fmt.Errorf("make a pass: %w", err))
	}
	if gateAnswers(cmd.Context(), h.Config.Gate.Socket) != nil {
		a.ui.warn(fmt.Sprintf(wordNoGate, h.Config.Gate.Socket))
	}
	a.ui.passMade(sitePass{s.Name, p.ID, u.Scheme + "://" + u.Host + gate.PassPath + "#" + link, p.Expires.UTC()})
	return nil
}
