package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
)

func (a *app) extendCommand() *cobra.Command {
	var which selection
	var messages []string
	cmd := &cobra.Command{
		Use: "extend WHEN", Short: terminal.HelpExtend, Long: terminal.HelpExtendLong, Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			req, err := a.extension(args[0], time.Now())
			if err != nil {
				return usage(fmt.Errorf("read the time: %w", err), terminal.HintExtendWhen)
			}
			if cmd.Flags().Changed("message") {
				if req.Message, req.Messages, err = parseMessages(messages); err != nil {
					return usage(fmt.Errorf("read --message: %w", err), terminal.HintMessage)
				}
			}
			c, chosen, err := a.loadSites(which)
			if err != nil {
				return err
			}
			req.Sites = chosen
			if c.Fleet != nil {
				_, err = a.order(cmd.Context(), c, req, 0)
				return err
			}
			h, err := a.host(c)
			if err != nil {
				return err
			}
			receipts, err := h.Extend(cmd.Context(), req)
			a.metrics(cmd.Context(), c, h)
			a.deliver(c)
			if err != nil {
				return doing(err)
			}
			return a.report(receipts)
		},
	}
	which.flags(cmd)
	cmd.Flags().StringArrayVar(&messages, "message", nil, terminal.HelpMessage)
	a.jsonFlag(cmd)
	return cmd
}

// extension reads WHEN of extend: "+10m" counts from the ETA that is announced, anything else from now.
func (a *app) extension(when string, now time.Time) (maintenance.Request, error) {
	req := maintenance.Request{WordsOnly: true}
	if longer, found := strings.CutPrefix(strings.TrimSpace(when), "+"); found {
		d, err := parseDuration(longer)
		if err != nil || strings.HasPrefix(longer, "+") || d <= 0 || d > maxAhead {
			return req, fmt.Errorf("%w: %q", errWhen, when)
		}
		req.Longer = d
		return req, nil
	}
	eta, err := parseWhen(when, now)
	if err != nil {
		return req, err
	}
	if laterDay(when, eta, now) {
		a.terminal.LaterDay(when, eta, now)
	}
	req.ETA = &eta
	return req, nil
}
