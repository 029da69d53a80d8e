package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/cmd/internal/when"
	"github.com/msupply-foundation/conforma-status/status"
)

// scheduleFlags are the flags of schedule and schedule move.
type scheduleFlags struct {
	which             selection
	from, until, long string
	messages          []string
	reason            string
	given             func(name string) bool // whether a flag was given
}

func (f *scheduleFlags) register(cmd *cobra.Command) {
	f.given = cmd.Flags().Changed
	f.which.flags(cmd)
	cmd.Flags().StringVar(&f.from, "from", "", terminal.HelpFrom)
	cmd.Flags().StringVar(&f.until, "until", "", terminal.HelpUntil)
	cmd.Flags().StringVar(&f.long, "for", "", terminal.HelpFor)
	cmd.Flags().StringArrayVar(&f.messages, "message", nil, terminal.HelpMessage)
	cmd.Flags().StringVar(&f.reason, "reason", "", terminal.HelpReason)
}

func (a *app) scheduleCommand() *cobra.Command {
	var f scheduleFlags
	cmd := &cobra.Command{
		Use: "schedule MODE", Short: terminal.HelpSchedule, Long: terminal.HelpScheduleLong, Args: cobra.ArbitraryArgs,
		ValidArgs: names(closedModes()),
		RunE: func(cmd *cobra.Command, args []string) error {
			mode, err := modeOfWindow(cmd, args)
			if err != nil {
				return err
			}
			return a.schedule(cmd, mode, f)
		},
	}
	f.register(cmd)
	a.jsonFlag(cmd)
	cmd.AddCommand(a.scheduleListCommand(), a.scheduleMoveCommand(), a.scheduleCancelCommand())
	return cmd
}

// modeOfWindow reads the mode of schedule MODE.
func modeOfWindow(cmd *cobra.Command, args []string) (status.Mode, error) {
	if len(args) == 0 {
		return "", misused(errors.New("schedule needs a mode"), fmt.Sprintf(terminal.HintUsage, cmd.UseLine()))
	}
	word := args[0]
	mode, err := status.ParseMode(word)
	switch {
	case err == nil && !mode.Closed():
		return "", misused(errors.New("nothing opens a site by itself"), terminal.HintNothingOpens)
	case err == nil && len(args) > 1:
		return "", misused(fmt.Errorf("schedule takes one mode: %q is one word too many", args[1]), fmt.Sprintf(terminal.HintUsage, cmd.UseLine()))
	case err == nil:
		return mode, nil
	}
	meant := string(modeWords[strings.ToLower(word)])
	if meant == "" {
		meant = nearest(word, append(names(closedModes()), "list", "move", "cancel"))
	}
	if meant == "" || meant == string(status.Online) {
		return "", misused(fmt.Errorf("read the mode: %w", err), terminal.HintScheduleModes)
	}
	return "", misused(fmt.Errorf("read the mode: %w", err), fmt.Sprintf(terminal.HintMeantCommand, cmd.CommandPath()+" "+meant))
}

// schedule announces a window of the sites.
func (a *app) schedule(cmd *cobra.Command, mode status.Mode, f scheduleFlags) error {
	if !f.given("from") {
		return misused(errors.New("schedule needs --from"), terminal.HintFrom)
	}
	w := status.ScheduledWindow{ID: newWindowID(), Mode: mode}
	now := time.Now()
	var err error
	if w.From, err = a.readFrom(f, now); err != nil {
		return err
	}
	if w.Until, err = readUntil(f, w.From, now); err != nil {
		return err
	}
	if w.Message, w.Messages, err = readMessages(f.messages); err != nil {
		return err
	}
	h, chosen, err := a.hostOf(f.which)
	if err != nil {
		return err
	}
	if err := a.adminWindow(cmd.Context(), h, chosen, mode); err != nil {
		return err
	}
	a.untranslated(h.Config, maintenance.Request{Sites: chosen, Message: w.Message, Messages: w.Messages})
	a.unkept(h, chosen, f)
	a.terminal.WindowAhead(config.SiteNames(chosen), w)
	return a.announce(cmd.Context(), h, maintenance.Announcement{
		Sites: chosen, ID: w.ID, Reason: f.reason,
		Change: func(s status.Schedule, now time.Time) (status.Schedule, error) { return s.Add(w, now) },
	})
}

// newWindowID is an id that no other window has.
func newWindowID() string { return strings.ToLower(rand.Text()[:10]) }

// adminWindow is readyForAdmin for a window in admin mode whose sites live here: nobody is at the keyboard when it
// begins.
func (a *app) adminWindow(ctx context.Context, h *maintenance.Host, sites []config.Site, mode status.Mode) error {
	if mode != status.Admin {
		return nil
	}
	if slices.ContainsFunc(sites, h.Serves) {
		return a.readyForAdmin(ctx, h.Config, sites)
	}
	return nil
}

// unkept warns of a reason that no history will have.
func (a *app) unkept(h *maintenance.Host, sites []config.Site, f scheduleFlags) {
	for _, s := range sites {
		if f.reason != "" && !h.Serves(s) {
			a.terminal.Warn(fmt.Sprintf("the reason is not kept: %s lives on another machine, and visitors must not read it", s.Name))
		}
	}
}

// readFrom reads --from.
func (a *app) readFrom(f scheduleFlags, now time.Time) (time.Time, error) {
	from, err := a.readTime(f.from, now)
	if err != nil {
		return from, usage(fmt.Errorf("read --from: %w", err), terminal.HintWhen)
	}
	return from, nil
}

// readUntil reads --until or --for, of which there has to be one.
func readUntil(f scheduleFlags, from, now time.Time) (time.Time, error) {
	switch {
	case f.given("until") && f.given("for"):
		return from, misused(errors.New("--until and --for cannot be used together"), terminal.HintUntil)
	case f.given("for"):
		d, err := when.Duration(f.long)
		if err != nil || d < time.Second || d > when.MaxAhead {
			return from, usage(fmt.Errorf("read --for: %w: %q", when.ErrRead, f.long), terminal.HintFor)
		}
		return from.Add(d).Truncate(time.Second), nil
	case !f.given("until"):
		return from, misused(errors.New("schedule needs --until or --for"), terminal.HintUntil)
	}
	until, err := when.Until(f.until, from, now)
	if err != nil {
		return until, usage(fmt.Errorf("read --until: %w", err), terminal.HintWhen)
	}
	return until, nil
}

func (a *app) scheduleListCommand() *cobra.Command {
	var which selection
	cmd := &cobra.Command{
		Use: "list", Short: terminal.HelpScheduleList, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, chosen, err := a.hostOf(which.orAll())
			if err != nil {
				return err
			}
			var all []maintenance.Announced
			for _, s := range chosen {
				schedule, err := h.Schedule(cmd.Context(), s)
				if err != nil {
					return fmt.Errorf("read the schedule of %s: %w", s.Name, err)
				}
				all = append(all, maintenance.Announced{Site: s.Name, Windows: schedule.Windows})
			}
			a.terminal.Schedules(all)
			return nil
		},
	}
	which.flags(cmd)
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) scheduleMoveCommand() *cobra.Command {
	var f scheduleFlags
	cmd := &cobra.Command{
		Use: "move ID", Short: terminal.HelpScheduleMove, Long: terminal.HelpScheduleMoveLong, Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return a.moveWindow(cmd, args[0], f) },
	}
	f.register(cmd)
	a.jsonFlag(cmd)
	return cmd
}

// moveWindow gives a window other times or other words. One that only begins at another time takes as long as before.
func (a *app) moveWindow(cmd *cobra.Command, id string, f scheduleFlags) error {
	if !f.given("from") && !f.given("until") && !f.given("for") && !f.given("message") {
		return misused(errors.New("schedule move needs to know what is new"), terminal.HintMove)
	}
	h, chosen, err := a.hostOf(f.which.orAll()) // those that have the window are meant
	if err != nil {
		return err
	}
	was, err := h.Window(cmd.Context(), chosen, id)
	if err != nil {
		return notAnnounced(err)
	}
	now, is := time.Now(), was
	if f.given("from") {
		if is.From, err = a.readFrom(f, now); err != nil {
			return err
		}
		is.Until = is.From.Add(was.Until.Sub(was.From))
	}
	if f.given("until") || f.given("for") {
		if is.Until, err = readUntil(f, is.From, now); err != nil {
			return err
		}
	}
	to := status.Moved{From: &is.From, Until: &is.Until, Words: f.given("message")}
	if to.Message, to.Messages, err = readMessages(f.messages); err != nil {
		return err
	}
	a.unkept(h, chosen, f)
	a.terminal.WindowAhead(nil, is)
	return a.announce(cmd.Context(), h, maintenance.Announcement{
		Sites: chosen, ID: id, Reason: f.reason, IfThere: len(f.which.names) == 0,
		Change: func(s status.Schedule, now time.Time) (status.Schedule, error) { return s.Move(id, to, now) },
	})
}

func (a *app) scheduleCancelCommand() *cobra.Command {
	var which selection
	cmd := &cobra.Command{
		Use: "cancel ID", Short: terminal.HelpScheduleCancel, Long: terminal.HelpScheduleCancelLong, Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			h, chosen, err := a.hostOf(which.orAll()) // likewise
			if err != nil {
				return err
			}
			return a.announce(cmd.Context(), h, maintenance.Announcement{
				Sites: chosen, ID: args[0], IfThere: len(which.names) == 0,
				Change: func(s status.Schedule, now time.Time) (status.Schedule, error) { return s.Cancel(args[0], now) },
			})
		},
	}
	which.flags(cmd)
	a.jsonFlag(cmd)
	return cmd
}

// announce changes the schedules, and reports.
func (a *app) announce(ctx context.Context, h *maintenance.Host, req maintenance.Announcement) error {
	if len(h.Config.Webhooks) > 0 {
		a.meet(h)
	}
	all, err := h.Announce(ctx, req)
	a.deliver(h.Config)
	if err != nil {
		return notAnnounced(err)
	}
	a.terminal.Announced(all)
	for _, one := range all {
		if !one.Published {
			return said(exitUnpublished)
		}
	}
	return nil
}

// notAnnounced is the error of an announcement, with the exit code of a mistake where it is one.
func notAnnounced(err error) error {
	for _, mistake := range []error{status.ErrNoWindow, maintenance.ErrTooSoon, maintenance.ErrBegun} {
		if errors.Is(err, mistake) {
			return usage(err)
		}
	}
	return err
}
