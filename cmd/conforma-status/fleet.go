package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/fleet"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// fleetOf opens the private store and reads the fleet's key.
func fleetOf(c *config.Config) (*maintenance.Fleet, error) {
	if c.Fleet == nil {
		return nil, noFleet()
	}
	private, err := receiptStore(c)
	if err != nil {
		return nil, err
	}
	keys, err := gate.ReadSecretFile(c.Fleet.KeyFile)
	if err != nil {
		return nil, usage(fmt.Errorf("read the fleet's key: %w", err))
	}
	host, err := c.Fleet.HostName()
	if err != nil {
		return nil, fmt.Errorf("read this machine's name: %w", err)
	}
	if !status.IsHostName(host) {
		return nil, usage(fmt.Errorf("read the configuration: this machine's name, %q, can't name a host", host), terminal.HintHostName)
	}
	return &maintenance.Fleet{Name: host, Receipts: private, Key: keys[0]}, nil
}

// receiptStore opens the private store.
func receiptStore(c *config.Config) (store.Store, error) {
	private, err := store.Open(c.Fleet.Store, c.S3)
	if err != nil {
		return nil, usage(fmt.Errorf("open the fleet's store: %w", err))
	}
	return private, nil
}

func (a *app) fleetCommand() *cobra.Command {
	return holding("fleet", terminal.HelpFleet, a.fleetListCommand(), a.fleetForgetCommand())
}

func (a *app) fleetListCommand() *cobra.Command {
	var which selection
	cmd := &cobra.Command{
		Use: "list", Short: terminal.HelpFleetList, Long: terminal.HelpFleetListLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, chosen, err := a.hostOf(which.orAll())
			if err != nil {
				return err
			}
			if h.Config.Fleet == nil {
				return noFleet()
			}
			views, missing, err := a.fleets(cmd.Context(), h, chosen)
			if err != nil {
				return err
			}
			a.terminal.Fleets(views)
			if missing {
				return said(exitDrift)
			}
			return nil
		},
	}
	which.flags(cmd)
	a.jsonFlag(cmd)
	return cmd
}

// fleets looks at the switch of each site and at its hosts, and reports whether one isn't where it was ordered to, or
// can't be seen.
func (a *app) fleets(ctx context.Context, h *maintenance.Host, chosen []config.Site) (views []terminal.Fleet, missing bool, err error) {
	private, err := receiptStore(h.Config)
	if err != nil {
		return nil, false, err
	}
	for _, s := range chosen {
		v, err := lookAtFleet(ctx, h, private, s)
		v.Err = err
		missing = missing || err != nil || len(v.Missing) > 0
		views = append(views, v)
	}
	return views, missing, nil
}

// noFleet is the error of a command for the hosts of a fleet where there is none.
func noFleet() error {
	return usage(errors.New("read the configuration: there is no [fleet]: this is a single host"), terminal.HintFleet)
}

// lookAtFleet looks at the switch of a site and, where private isn't nil, at its hosts.
func lookAtFleet(ctx context.Context, h *maintenance.Host, private store.Store, s config.Site) (terminal.Fleet, error) {
	v := terminal.Fleet{Site: s.Name, Missing: []string{}, Hosts: []terminal.FleetHost{}}
	data, _, err := h.Store.Get(ctx, maintenance.StatusKey(s))
	switch {
	case errors.Is(err, store.ErrNotFound):
		v.Wanted, v.Mode = status.Online, status.Online
	case err != nil:
		return v, fmt.Errorf("read the switch: %w", err)
	default:
		d, err := status.Parse(data)
		if err != nil {
			return v, fmt.Errorf("read the switch: %w", err)
		}
		sw := fleet.SwitchOf(d, nil)
		v.Order, v.Wanted, v.Mode = sw.Order, sw.Wanted, sw.Mode
	}
	if private == nil {
		return v, nil
	}
	all, err := (&fleet.Receipts{Store: private, Path: s.Path}).Members(ctx)
	if err != nil {
		return v, err
	}
	v.Fill(all)
	v.Done = v.Order > 0 && len(v.Hosts) > 0 && len(v.Missing) == 0
	return v, nil
}

func (a *app) fleetForgetCommand() *cobra.Command {
	var which selection
	var off bool
	cmd := &cobra.Command{
		Use: "forget HOST", Short: terminal.HelpFleetForget, Long: terminal.HelpFleetForgetLong, Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			host := args[0]
			if !off {
				return misused(fmt.Errorf("forget %s: that %s is off isn't confirmed", host, host), fmt.Sprintf(terminal.HintConfirmOff, host))
			}
			if !status.IsHostName(host) {
				return misused(fmt.Errorf("%q can't name a host", host), terminal.HintHostName)
			}
			c, chosen, err := a.loadSites(which.orAll())
			if err != nil {
				return err
			}
			mine, err := fleetOf(c)
			if err != nil {
				return err
			}
			return a.forget(cmd.Context(), mine.Receipts, host, chosen)
		},
	}
	which.flags(cmd)
	cmd.Flags().BoolVar(&off, "confirm-off", false, terminal.HelpConfirmOff)
	a.jsonFlag(cmd)
	return cmd
}

// forget removes the receipts of a host.
func (a *app) forget(ctx context.Context, receipts store.Store, host string, sites []config.Site) error {
	found := []string{}
	for _, s := range sites {
		key := status.ReceiptKey(s.Path, host)
		if _, _, err := receipts.Get(ctx, key); errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err := receipts.Delete(ctx, key); err != nil {
			return fmt.Errorf("forget %s: %w", host, err)
		}
		found = append(found, s.Name)
	}
	if len(found) == 0 {
		return failed(fmt.Errorf("forget %s: there is no host of that name", host), terminal.HintFleetList)
	}
	a.terminal.Forgotten(host, found)
	return nil
}

// meet has h ask and tell the other hosts of its fleet, where there is one. One that it can't reach keeps it from
// nothing.
func (a *app) meet(h *maintenance.Host) {
	if h.Config.Fleet == nil {
		return
	}
	mine, err := fleetOf(h.Config)
	if err != nil {
		a.terminal.Warn(err.Error())
		return
	}
	h.Meet(mine)
}
