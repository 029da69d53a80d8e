package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/status"
)

func (a *app) runCommand() *cobra.Command {
	var f setFlags
	var modeName string
	cmd := &cobra.Command{
		Use: "run --mode MODE [flags] -- COMMAND...", Short: terminal.HelpRun, Long: terminal.HelpRunLong,
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runClosed(cmd.Context(), modeName, f, args)
		},
	}
	cmd.Flags().StringVar(&modeName, "mode", "", terminal.HelpRunMode)
	_ = cmd.RegisterFlagCompletionFunc("mode", cobra.FixedCompletions(names(closedModes()), cobra.ShellCompDirectiveNoFileComp))
	f.register(cmd)
	cmd.Flags().SetInterspersed(false)
	return cmd
}

// runClosed closes, runs the command once the sites are safe, and opens again if it succeeded.
func (a *app) runClosed(ctx context.Context, modeName string, f setFlags, argv []string) error {
	mode, err := status.ParseMode(modeName)
	if err != nil || !mode.Closed() {
		return misused(errors.New("run needs --mode offline or --mode admin"), terminal.HintRunMode)
	}
	program, err := exec.LookPath(argv[0])
	if err != nil {
		return misused(fmt.Errorf("run %s: %w", argv[0], err), terminal.HintNoProgram)
	}
	a.terminal.Apart, a.terminal.JSON = true, false // standard output, and a --json among its arguments, are the command's
	f.request.Keeps = maintenance.KeepsClosed
	closed, err := a.set(ctx, modeName, f)
	// There is no command yet to hand a signal on to.
	interrupted := fmt.Errorf("run %s: interrupted before it was started", argv[0])
	if errors.Is(err, maintenance.ErrNotBegun) {
		return failed(interrupted, terminal.HintStaysAsItWas)
	}
	if err != nil && exitCode(err) != exitUnpublished {
		return err
	}
	mode = modeOf(closed, mode)
	if ctx.Err() != nil {
		return failed(interrupted, fmt.Sprintf(terminal.HintStaysClosed, mode))
	}
	a.terminal.FoundClosed(closed)
	code, err := runCommand(program, argv)
	if err != nil {
		return failed(fmt.Errorf("run %s: %w", argv[0], err), fmt.Sprintf(terminal.HintStaysClosed, mode))
	}
	if code != 0 {
		err := fmt.Errorf("run %[1]s: %[1]s ended with exit code %[2]d: the site stays %[3]s", argv[0], code, mode)
		return &coded{code, terminal.Advise(err, terminal.HintOpenLater)}
	}
	return a.openAfter(ctx, f, closed)
}

// modeOf is the mode that the sites are in, the stricter where they differ.
func modeOf(closed []*maintenance.Receipt, asked status.Mode) status.Mode {
	for _, r := range closed {
		if r.Mode.StricterThan(asked) {
			asked = r.Mode
		}
	}
	return asked
}

// openAfter brings the sites back to the mode that they were found in, after a command that succeeded. It does so only
// if nobody else has set them meanwhile, and the applications that open answer.
func (a *app) openAfter(ctx context.Context, f setFlags, closed []*maintenance.Receipt) error {
	h, chosen, err := a.hostOf(f.which)
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	code := exitDone
	for _, mode := range status.Modes() {
		req := f.request
		req.Mode, req.MustAnswer, req.Keeps, req.Claims = mode, mode == status.Online, maintenance.KeepsNothing, map[string]string{}
		for _, r := range closed {
			if r.Previous == mode && r.Mode != mode {
				req.Claims[r.Site] = r.Claim
			}
		}
		req.Sites = slices.DeleteFunc(slices.Clone(chosen), func(s config.Site) bool { return req.Claims[s.Name] == "" })
		if len(req.Sites) == 0 {
			continue
		}
		opened, err := a.openThese(ctx, h, req)
		if errors.Is(err, maintenance.ErrClaimed) {
			return claimed(ctx, h, req, closed, err)
		}
		if err != nil {
			return err
		}
		code = max(code, opened)
	}
	for _, r := range closed {
		if r.Previous != r.Mode {
			continue
		}
		switch held, err := h.Holds(ctx, r); {
		case err != nil:
			return err
		case !held:
			return openedMeanwhile(r)
		}
		a.terminal.LeftClosed(r.Site, r.Mode)
	}
	return said(code)
}

// openedMeanwhile is the error of a run during which somebody else has opened a site.
func openedMeanwhile(r *maintenance.Receipt, hints ...string) error {
	return failed(fmt.Errorf("run the command: %s was opened meanwhile", r.Site), append([]string{terminal.HintOpenedMeanwhile}, hints...)...)
}

// claimed is the error of a run that can't open the sites of req, because somebody else has set one of them: err, or
// where that one was opened, that it was.
func claimed(ctx context.Context, h *maintenance.Host, req maintenance.Request, closed []*maintenance.Receipt, err error) error {
	one, known := errors.AsType[*ofSite](err)
	var opened *maintenance.Receipt
	var others []string
	for _, r := range closed {
		if req.Claims[r.Site] == "" {
			continue
		}
		switch held, unread := h.Holds(ctx, r); {
		case unread != nil:
		case held:
			others = append(others, fmt.Sprintf(terminal.HintOtherStays, r.Site, r.Mode, r.Site))
		case opened == nil && (!known || r.Site == one.site):
			opened = r
		}
	}
	if opened == nil {
		return err
	}
	return openedMeanwhile(opened, others...)
}

// openThese makes one change of openAfter, and returns its exit code.
func (a *app) openThese(ctx context.Context, h *maintenance.Host, req maintenance.Request) (int, error) {
	if h.Config.Fleet != nil {
		_, err := a.order(ctx, h, req, defaultWait)
		if errors.Is(err, errSaid) {
			return exitCode(err), nil
		}
		return exitDone, err
	}
	receipts, err := h.Set(ctx, req)
	a.tell(ctx, h)
	if err != nil {
		return exitFailed, doing(err)
	}
	for _, r := range receipts {
		if r.Err == nil && r.Unanswered {
			_ = a.report(receipts)
			return exitFailed, failed(fmt.Errorf("open %[1]s: %[1]s is open, but its application does not answer", r.Site), terminal.HintUnanswered)
		}
	}
	code := exitCode(a.report(receipts))
	if code == exitUnpublished {
		return exitDone, nil // the code is the command's; that the status is to be published yet has been said
	}
	return code, nil
}

// inForeground reports whether our standard input is a terminal whose keys send signals to our process group.
func inForeground() bool {
	group, err := unix.IoctlGetInt(int(os.Stdin.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// runCommand runs the operator's command with our standard streams, and hands our signals on to it. It returns the
// command's exit code; for a command that was killed, 128 and the signal's number, as shells do. With an error it was
// not started.
func runCommand(program string, argv []string) (int, error) {
	cmd := &exec.Cmd{Path: program, Args: argv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			// The terminal has sent these to the whole process group already.
			if (s == os.Interrupt || s == syscall.SIGQUIT) && inForeground() {
				continue
			}
			_ = cmd.Process.Signal(s) // one that has just ended gets none
		case err := <-ended:
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return 0, err
			}
			state := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if state.Signaled() {
				return 128 + int(state.Signal()), nil
			}
			return state.ExitStatus(), nil
		}
	}
}
