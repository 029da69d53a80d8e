package main

import (
	"context"
	"log/slog"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/publishing"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
)

func (a *app) followCommand() *cobra.Command {
	return &cobra.Command{
		Use: "follow", Short: terminal.HelpFollow, Long: terminal.HelpFollowLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.follow(cmd.Context()) },
	}
}

// follow carries out what is ordered until it is told to stop.
func (a *app) follow(ctx context.Context) error {
	c, err := a.load()
	if err != nil {
		return err
	}
	fleet, err := fleetOf(c)
	if err != nil {
		return err
	}
	h, err := a.host(c)
	if err != nil {
		return err
	}
	a.terminal.Words = terminal.Quiet // a log has a line for each change, and none for each step
	h.Operator, h.Command = "fleet", "follow"
	f := &maintenance.Follower{
		Host: h, Fleet: fleet, Drain: defaultDrain,
		Log:       slog.New(slog.NewTextHandler(a.terminal.Err, nil)),
		KeepPages: func(sites []config.Site) error { return publishing.Keep(h, sites) },
		Deliver:   func() { a.deliver(c) },
	}
	go watchdog(ctx, f.GoesOn)
	err = f.Run(ctx, c.Fleet.Poll, func() { notify(daemon.SdNotifyReady) })
	if err == nil {
		notify(daemon.SdNotifyStopping)
	}
	return err
}
