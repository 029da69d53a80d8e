package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/cmd/internal/when"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
	"github.com/msupply-foundation/conforma-status/status"
)

// passFlags are the flags of pass.
type passFlags struct {
	which  selection
	ttl    string
	revoke bool
}

func (a *app) passCommand() *cobra.Command {
	var f passFlags
	cmd := &cobra.Command{
		Use: "pass", Short: terminal.HelpPass, Long: terminal.HelpPassLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.revoke && cmd.Flags().Changed("ttl") {
				return misused(errors.New("--revoke and --ttl cannot be used together"), terminal.HintRevokeTTL)
			}
			lasts, err := when.Duration(f.ttl)
			if err != nil || lasts < time.Minute || lasts > gate.MaxPass {
				return misused(fmt.Errorf("--ttl %q is not a duration from 1m to 24h", f.ttl), terminal.HintTTL)
			}
			if f.revoke {
				return a.revoke(cmd.Context(), f.which)
			}
			return a.passes(cmd.Context(), f.which, lasts)
		},
	}
	f.which.flags(cmd)
	cmd.Flags().StringVar(&f.ttl, "ttl", "1h", terminal.HelpTTL)
	cmd.Flags().BoolVar(&f.revoke, "revoke", false, terminal.HelpRevoke)
	a.jsonFlag(cmd)
	return cmd
}

// revoke ends all passes of the sites.
func (a *app) revoke(ctx context.Context, which selection) error {
	h, chosen, err := a.hostOf(which)
	if err != nil {
		return err
	}
	if h.Config.Fleet != nil {
		return a.revokeInFleet(ctx, h, chosen)
	}
	var done []terminal.Revoked
	for _, site := range chosen {
		had, err := h.RevokePasses(site)
		if err != nil {
			return fmt.Errorf("revoke the passes of %s: %w", site.Name, err)
		}
		done = append(done, terminal.Revoked{Site: site.Name, Revoked: had})
	}
	a.terminal.PassesRevoked(done)
	return nil
}

// revokeInFleet orders admin mode anew for the sites that are in it: with each order the passes of before are
// worthless, on all hosts.
func (a *app) revokeInFleet(ctx context.Context, h *maintenance.Host, chosen []config.Site) error {
	req := maintenance.Request{Mode: status.Admin, Keeps: maintenance.KeepsClosed, Claims: map[string]string{}, Reason: "pass --revoke"}
	var done []terminal.Revoked
	for _, s := range chosen {
		v, err := lookAtFleet(ctx, h, nil, s)
		if err != nil {
			return fmt.Errorf("revoke the passes of %s: %w", s.Name, err)
		}
		had := v.Wanted == status.Admin && v.Order > 0
		if had {
			req.Sites, req.Claims[s.Name] = append(req.Sites, s), strconv.FormatUint(v.Order, 10)
		}
		done = append(done, terminal.Revoked{Site: s.Name, Revoked: had})
	}
	var err error
	if len(req.Sites) > 0 {
		json, apart := a.terminal.JSON, a.terminal.Apart
		a.terminal.JSON, a.terminal.Apart = false, json || apart // the one document is that of pass
		var receipts []*maintenance.Receipt
		receipts, err = a.order(ctx, h, req, defaultWait)
		a.terminal.JSON, a.terminal.Apart = json, apart
		if err != nil && (!json || !errors.Is(err, errSaid)) {
			return err
		}
		for _, r := range receipts {
			if i := slices.IndexFunc(done, func(d terminal.Revoked) bool { return d.Site == r.Site }); r.Outcome != state.Done {
				done[i].Revoked = false // a host may still let them in
			}
		}
	}
	a.terminal.PassesRevoked(done)
	return err
}

// passes makes a pass for each site and prints their links. Where one can't be made, none is printed.
func (a *app) passes(ctx context.Context, which selection, lasts time.Duration) error {
	h, chosen, err := a.hostOf(which, config.Tokens)
	if err != nil {
		return err
	}
	var made []terminal.Pass
	for _, s := range chosen {
		one, err := a.pass(ctx, h, s, lasts)
		if err != nil {
			return err
		}
		made = append(made, one)
	}
	a.missGate(ctx, h.Config.Gate.Socket)
	a.terminal.PassesMade(made)
	return nil
}

// pass makes a pass for a site, and before the first one of a site without a [site.jwt] the key for it.
func (a *app) pass(ctx context.Context, h *maintenance.Host, s config.Site, lasts time.Duration) (terminal.Pass, error) {
	window, epoch, err := h.PassKeys(ctx, s)
	if err != nil {
		return terminal.Pass{}, fmt.Errorf("make a pass: %w", err)
	}
	if s.JWT == nil {
		made, err := initSecret(h.Config, s)
		if err != nil {
			return terminal.Pass{}, err
		}
		if made {
			a.terminal.FirstPass(s.Name)
		}
	}
	shared, err := secrets(h.Config, s)
	if err != nil {
		return terminal.Pass{}, err
	}
	u, err := url.Parse(s.AppURL)
	if err != nil {
		return terminal.Pass{}, err // it was parsed when the configuration was read
	}
	p := gate.NewPass(time.Now().Add(lasts))
	link, err := p.Link(shared[0], s.Name, window, epoch)
	if err != nil {
		return terminal.Pass{}, fmt.Errorf("make a pass: %w", err)
	}
	return terminal.Pass{Site: s.Name, Pass: p.ID, Link: u.Scheme + "://" + u.Host + gate.PassPath + "#" + link, ExpiresAt: p.Expires.UTC()}, nil
}
