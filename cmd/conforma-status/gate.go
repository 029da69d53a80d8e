package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/publishing"
	"github.com/msupply-foundation/conforma-status/cmd/internal/setup"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
)

func (a *app) gateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "gate", Short: terminal.HelpGate, Long: terminal.HelpGateLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.gate(cmd.Context()) },
	}
}

// gate answers nginx until it is told to stop.
func (a *app) gate(ctx context.Context) error {
	c, err := a.load(config.Tokens, config.Pages)
	if err != nil {
		return err
	}
	// It needs none of the content, which as a user of its own it may not be allowed to read.
	if _, err := publishing.Contents(c); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	sources, names, err := guarded(c)
	if err != nil {
		return err
	}
	l, err := a.gateListener(c)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP) // the terminal that it was started in is gone
	defer stop()
	log := slog.New(slog.NewTextHandler(a.terminal.Err, nil))
	log.Info("the gate answers", "socket", c.Gate.Socket, "sites", len(sources))
	notify(daemon.SdNotifyReady)
	go watchdog(ctx, func() bool { return gate.Client{Socket: c.Gate.Socket}.Answers(ctx) == nil })
	told := make(chan struct{})
	context.AfterFunc(ctx, func() { defer close(told); notify(daemon.SdNotifyStopping) })
	err = gate.Serve(ctx, l, gate.Count(gate.NewHandler(sources, time.Now, log), names))
	if ctx.Err() != nil {
		<-told // it may be done sooner than systemd knows of it
	}
	return err
}

// guarded are the sites that the gate guards, and their names. A site without a [site.jwt] is one of them too: it may
// have passes.
func guarded(c *config.Config) (sources []gate.SiteSource, names []string, err error) {
	for _, s := range c.Sites {
		if s.JWT != nil {
			if _, err := secrets(c, s); err != nil {
				return nil, nil, err
			}
		}
		names = append(names, s.Name)
		sources = append(sources, gate.SiteSource{
			Policy: policy(s), Secrets: secretSource(c, s),
			Epoch: gate.CachedFile(state.Dir(c.StateDir).EpochFile(s.Name), gate.ReadEpoch, time.Now),
		})
	}
	return sources, names, nil
}

// gateListener is the socket that systemd has opened for the gate, or else one of its own.
func (a *app) gateListener(c *config.Config) (net.Listener, error) {
	given, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("take over the socket from systemd: %w", err)
	}
	if len(given) > 0 {
		if len(given) > 1 || given[0] == nil || given[0].Addr().String() != c.Gate.Socket {
			return nil, usage(fmt.Errorf("take over the socket from systemd: systemd hands over another socket than %s, the one in the configuration",
				c.Gate.Socket), terminal.HintOtherSocket)
		}
		return given[0], nil
	}
	return gate.Listen(c.Gate.Socket)
}

// notify tells systemd, where it started this process and wants to know: sd_notify(3).
func notify(state string) { _, _ = daemon.SdNotify(false, state) } // that it can't be told is no reason to stop

// watchdog tells systemd again and again that the service is well, where the unit sets a limit (WatchdogSec= in
// systemd.service(5)).
func watchdog(ctx context.Context, isWell func() bool) {
	within, err := daemon.SdWatchdogEnabled(false)
	if err != nil || within == 0 {
		return
	}
	tick := time.NewTicker(within / 3)
	defer tick.Stop()
	for {
		if isWell() {
			notify(daemon.SdNotifyWatchdog)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// policy is that of a site's tokens; without a [site.jwt] one that admits none.
func policy(s config.Site) gate.Policy {
	if s.JWT == nil {
		return gate.Policy{Site: s.Name}
	}
	return gate.Policy{
		Site: s.Name, Algorithm: s.JWT.Algorithm, Audience: s.JWT.Audience, Issuer: s.JWT.Issuer,
		AdminClaim: s.JWT.AdminClaim, MaxAge: s.JWT.MaxAge, Leeway: s.JWT.Leeway,
	}
}

// secrets are what a site shares with its application, or has for its passes alone.
func secrets(c *config.Config, s config.Site) ([]gate.Secret, error) {
	out, err := secretSource(c, s)()
	if err != nil {
		return nil, usage(fmt.Errorf("read the secret of %s: %w", s.Name, err))
	}
	return out, nil
}

// secretSource reads the secrets of a site, anew whenever their file changes. If systemd has given this process a copy
// (LoadCredential= in systemd.exec(5), by the site's name), it reads the copy: the gate's own user can't read the file
// itself.
func secretSource(c *config.Config, s config.Site) func() ([]gate.Secret, error) {
	path, read := setup.SecretFile(c, s), gate.ReadSecretFile
	if hasEnvFile(s) {
		read = gate.ReadEnvFile
	}
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" {
		copied := filepath.Join(dir, s.Name)
		if _, err := os.Lstat(copied); err == nil {
			return gate.CachedFile(copied, gate.CopyOf(path, read), time.Now)
		}
	}
	return gate.CachedFile(path, read, time.Now)
}

// hasEnvFile reports whether a site's secret is a line of its application's env file.
func hasEnvFile(s config.Site) bool { return s.JWT != nil && s.JWT.SecretEnvFile != "" }

// initSecret writes the secret of a site where there is none, and reports whether it did.
func initSecret(c *config.Config, s config.Site) (made bool, err error) {
	path := setup.SecretFile(c, s)
	if s.JWT == nil {
		if err := state.MakeDirs(filepath.Dir(path)); err != nil {
			return false, err
		}
	}
	made, err = gate.InitSecret(path, hasEnvFile(s))
	switch {
	case err != nil && gate.Hint(err) != "":
		return false, usage(fmt.Errorf("keep the secret of %s: %w", s.Name, err))
	case errors.Is(err, fs.ErrNotExist):
		return false, failed(err, terminal.HintSecretDir)
	}
	return made, err
}

func (a *app) secretCommand() *cobra.Command {
	var which selection
	initialize := &cobra.Command{
		Use: "init", Short: terminal.HelpSecretInit, Long: terminal.HelpSecretInitLong, Args: arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			c, chosen, err := a.loadSites(which, config.Tokens)
			if err != nil {
				return err
			}
			for _, s := range chosen {
				path := setup.SecretFile(c, s)
				made, err := initSecret(c, s)
				if err != nil {
					return err
				}
				if s.JWT == nil {
					a.terminal.PassKeyMade(s.Name, path, made)
				} else {
					a.terminal.SecretMade(s.Name, path, made)
				}
			}
			return nil
		},
	}
	which.flags(initialize)
	return holding("secret", terminal.HelpSecret, initialize)
}
