package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
)

// leeway is by how much the clocks of this machine and of whoever signs tokens may differ.
const leeway = 30 * time.Second

func (a *app) gateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "gate", Short: helpGate, Long: helpGateLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.gate(cmd.Context()) },
	}
}

// gate answers nginx until it is told to stop.
func (a *app) gate(ctx context.Context) error {
	c, err := a.load(config.Tokens, config.Pages)
	if err != nil {
		return err
	}
	var sources []gate.SiteSource
	var names []string
	for _, s := range c.Sites {
		if s.JWT == nil {
			continue
		}
		source := secretSource(s)
		if _, err := source(); err != nil {
			return usage(fmt.Errorf("read the secret of %s: %w", s.Name, err), gate.Hint(err))
		}
		names = append(names, s.Name)
		sources = append(sources, gate.SiteSource{Policy: policy(s), Secret: source})
	}
	if len(sources) == 0 {
		return usage(fmt.Errorf(wordNothingToGuard, c.File), hintNoJWT)
	}
	l, err := gate.Listen(c.Gate.Socket)
	if errors.Is(err, gate.ErrInUse) {
		return failed(err, hintGateInUse)
	}
	if err != nil {
		return failed(err)
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP) // the terminal that it was started in is gone
	defer stop()
	log := slog.New(slog.NewTextHandler(a.ui.err, nil))
	log.Info(wordGateListens, "socket", c.Gate.Socket, "sites", len(sources))
	return gate.Serve(ctx, l, gate.Count(gate.NewHandler(sources, time.Now, log), names))
}

func policy(s config.Site) gate.Policy {
	return gate.Policy{
		Site: s.Name, Algorithm: "HS256", Audience: s.JWT.Audience, AdminClaim: s.JWT.AdminClaim,
		MaxAge: s.JWT.MaxAge, Leeway: leeway,
	}
}

// secretSource reads the secret that a site shares with its application, anew whenever its file changes.
func secretSource(s config.Site) func() (gate.Secret, error) {
	if s.JWT.SecretEnvFile != "" {
		return gate.CachedFile(s.JWT.SecretEnvFile, gate.ReadEnvFile, time.Now)
	}
	return gate.CachedFile(s.JWT.SecretFile, gate.ReadSecretFile, time.Now)
}
