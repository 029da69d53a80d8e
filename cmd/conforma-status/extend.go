package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/cmd/internal/when"
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
			if req.Message, req.Messages, err = readMessages(messages); err != nil {
				return err
			}
			h, chosen, err := a.hostOf(which)
			if err != nil {
				return err
			}
			req.Sites = chosen
			if h.Config.Fleet != nil {
				_, err = a.order(cmd.Context(), h, req, 0)
				return err
			}
			receipts, err := h.Extend(cmd.Context(), req)
			a.tell(cmd.Context(), h)
			return a.came(receipts, err)
		},
	}
	which.flags(cmd)
	cmd.Flags().StringArrayVar(&messages, "message", nil, terminal.HelpMessage)
	a.jsonFlag(cmd)
	return cmd
}

// extension reads WHEN of extend: "+10m" counts from the ETA that is announced, anything else from now.
func (a *app) extension(said string, now time.Time) (maintenance.Request, error) {
	req := maintenance.Request{Keeps: maintenance.KeepsMode}
	longer, found := strings.CutPrefix(strings.TrimSpace(said), "+")
	if !found {
		eta, err := a.readTime(said, now)
		req.ETA = &eta
		return req, err
	}
	d, err := when.Duration(longer)
	if err != nil || strings.HasPrefix(longer, "+") || d <= 0 || d > when.MaxAhead {
		return req, fmt.Errorf("%w: %q", when.ErrRead, said)
	}
	req.Longer = d
	return req, nil
}

// readTime reads a point in time, and says which day is meant where a time of day has passed today.
func (a *app) readTime(said string, now time.Time) (time.Time, error) {
	at, err := when.Parse(said, now)
	if err == nil && when.IsLaterDay(said, at, now) {
		a.terminal.LaterDay(said, at, now)
	}
	return at, err
}
