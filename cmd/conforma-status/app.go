package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"os/user"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/setup"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers/barrier"
	"github.com/msupply-foundation/conforma-status/status/fault"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// app is one run of the program.
type app struct {
	terminal   *terminal.Terminal
	configFile string
	args       []string
}

// run runs the program and returns its exit code.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A pipe that nobody reads, or a terminal that is closed, must not end a change halfway. Not ignored but caught,
	// so that the commands we run get the default back.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE, syscall.SIGHUP)
	return execute(ctx, args, stdout, stderr)
}

// execute runs one command, until ctx tells it to end.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a := &app{terminal: terminal.New(stdout, stderr), args: args}
	root := a.root()
	a.terminal.JSON = asksForJSON(args)
	strict(root)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err != nil && !errors.Is(err, errSaid) {
		a.terminal.Fail(err)
	}
	code := exitCode(err)
	if unwritten := a.terminal.Unwritten(); unwritten != nil {
		a.terminal.JSON = false
		a.terminal.Fail(fmt.Errorf("print the JSON document: %w", unwritten))
		if code == exitDone { // any other says more
			code = exitFailed
		}
	}
	return code
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "conforma-status", Short: terminal.HelpRoot, Long: terminal.HelpRootLong,
		Version:       fmt.Sprintf("%s (commit %s, %s, %s/%s)", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH),
		SilenceErrors: true, SilenceUsage: true,
		// Whatever cobra itself complains of is a mistake in the command line.
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return noCommand(cmd, args[0])
			}
			return cmd.Help()
		},
		Args: cobra.ArbitraryArgs,
	}
	root.SetFlagErrorFunc(a.noFlag)
	root.PersistentFlags().StringVar(&a.configFile, "config", "", terminal.HelpConfig)
	a.wordsFlags(root)
	group(root, terminal.HelpEveryDay, a.getCommand(), a.setCommand(), a.extendCommand(), a.scheduleCommand())
	group(root, terminal.HelpEveryDay, onHost(a.runCommand(), a.passCommand(), a.historyCommand())...)
	group(root, terminal.HelpSettingUp, a.storeCommand(), a.previewCommand(), a.buildCommand(), a.publishCommand())
	group(root, terminal.HelpSettingUp, onHost(a.initCommand(), a.renderCommand(), a.secretCommand(), a.demoCommand())...)
	group(root, terminal.HelpLookingAfter, a.fleetCommand(), versionCommand())
	group(root, terminal.HelpLookingAfter, onHost(a.doctorCommand(), a.reconcileCommand(), a.gateCommand(), a.followCommand(), a.webhookCommand(), a.unitsCommand(), a.liftCommand())...)
	root.SetHelpCommandGroupID(terminal.HelpLookingAfter)
	root.SetCompletionCommandGroupID(terminal.HelpLookingAfter)
	a.complete(root)
	return root
}

// group adds commands that --help lists under one heading.
func group(root *cobra.Command, title string, commands ...*cobra.Command) {
	if !root.ContainsGroup(title) {
		root.AddGroup(&cobra.Group{ID: title, Title: title + ":"})
	}
	for _, c := range commands {
		c.GroupID = title
		root.AddCommand(c)
	}
}

// wordsFlags has every command take --quiet and --verbose.
func (a *app) wordsFlags(root *cobra.Command) {
	var quiet, verbose bool
	root.PersistentFlags().BoolVar(&quiet, "quiet", false, terminal.HelpQuiet)
	root.PersistentFlags().BoolVar(&verbose, "verbose", false, terminal.HelpVerbose)
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		switch {
		case quiet && verbose:
			return misused(errors.New("--quiet and --verbose cannot be used together"), terminal.HintQuietAndVerbose)
		case quiet:
			a.terminal.Words = terminal.Quiet
		case verbose:
			a.terminal.Words = terminal.Verbose
		}
		return nil
	}
}

// versionCommand is --version as a word.
func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: terminal.HelpVersion, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s version %s\n", cmd.Root().Name(), cmd.Root().Version)
			return err
		},
	}
}

// load reads the configuration. Faults of the given scopes stop the command, all others are warnings. With an error the
// configuration is nil, or what could be read of it.
func (a *app) load(stops ...config.Scope) (*config.Config, error) {
	c, faults, err := config.Load(a.configurationFile())
	for _, f := range faults {
		if !slices.Contains(stops, config.ScopeOf(f)) {
			a.terminal.Warn(f.String())
		}
	}
	if err != nil {
		return c, unreadable(err)
	}
	if stopping := config.Of(faults, stops...); len(stopping) > 0 {
		return c, unreadable(stopping)
	}
	return c, nil
}

// configurationFile is where the configuration is.
func (a *app) configurationFile() string {
	return cmp.Or(a.configFile, os.Getenv("CONFORMA_STATUS_CONFIG"), config.DefaultFile)
}

// loadSites reads the configuration and picks the sites that a command is about. What is wrong with either is said
// at once.
func (a *app) loadSites(which selection, stops ...config.Scope) (*config.Config, []config.Site, error) {
	c, err := a.load(stops...)
	if faults, is := errors.AsType[fault.List](err); c != nil && is {
		if unknown := unknownSites(c, which.names); len(unknown) > 0 {
			err = usage(fmt.Errorf("read the configuration: %w", append(faults, unknown...)), knownSites(c))
		}
	}
	if err != nil {
		return nil, nil, err
	}
	chosen, err := which.of(c)
	return c, chosen, err
}

// unreadable is the error of a configuration that can't be used.
func unreadable(err error) error {
	return usage(fmt.Errorf("read the configuration: %w", err))
}

// host wires up this machine.
func (a *app) host(c *config.Config) (*maintenance.Host, error) {
	st, err := store.Open(c.Store, c.S3)
	if err != nil {
		return nil, usage(fmt.Errorf("open the store: %w", err))
	}
	nginx := nginxOf(c)
	h := &maintenance.Host{
		Config: c, Store: st,
		Nginx:     nginx,
		Sockets:   workers.Sockets{},
		Kernel:    barrier.Barrier{StateDir: c.StateDir},
		Settled:   control.Run,
		Probe:     nginx.Probe,
		FetchPage: nginx.FetchPage,
		Clock:     wallClock{},
		Progress:  a.terminal,
		Operator:  whoRuns(),
		Command:   strings.Join(a.args, " "),
	}
	// The unit that reconcile runs in has the configuration of the package, and no other.
	if timer, ok := setup.SystemTimer(); ok && a.configurationFile() == config.DefaultFile {
		h.Timer = timer.Set
	}
	return h, nil
}

func nginxOf(c *config.Config) control.Nginx {
	return control.Nginx{TestCommand: c.Nginx.Test, ReloadCommand: c.Nginx.Reload, PIDFile: c.Nginx.PIDFile}
}

// hostOf wires up this machine, and picks the sites that a command is about.
func (a *app) hostOf(which selection, stops ...config.Scope) (*maintenance.Host, []config.Site, error) {
	c, chosen, err := a.loadSites(which, stops...)
	if err != nil {
		return nil, nil, err
	}
	h, err := a.host(c)
	return h, chosen, err
}

// jsonFlag has a command take --json.
func (a *app) jsonFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.terminal.JSON, "json", false, terminal.HelpJSON)
}

// whoRuns is who is at the keyboard, as far as the environment tells.
func whoRuns() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}

// wallClock is the real clock.
type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

func (wallClock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.Canceled) {
			return control.ErrInterrupted
		}
		return ctx.Err()
	}
}

// tell brings what watches this host up to date after a change: the textfile of the node exporter, from which a gate
// that doesn't answer is left out, and the webhooks.
func (a *app) tell(ctx context.Context, h *maintenance.Host) {
	if h.Config.MetricsFile != "" {
		ofGate, _ := gate.Client{Socket: h.Config.Gate.Socket}.Metrics(ctx)
		if err := h.WriteMetrics(ofGate); err != nil {
			a.terminal.Warn(err.Error())
		}
	}
	a.deliver(h.Config)
}

// canBeHost is whether applications may live behind an nginx of this machine: what nginx's workers hold is seen in
// Linux's /proc.
var canBeHost = runtime.GOOS == "linux"

// errNotHost ends a command that a machine which can't be a host doesn't have.
var errNotHost = errors.New("it runs on the application's host, a Linux machine with nginx")

// notHost is the error of a command that this machine can't do.
func notHost(name string) error {
	return usage(fmt.Errorf("%s: %w", name, errNotHost), terminal.HintElsewhere)
}

// onHost has commands, and those below them, do nothing but say so where this machine can't be a host.
func onHost(commands ...*cobra.Command) []*cobra.Command {
	for _, c := range commands {
		onHost(c.Commands()...)
		run := c.RunE
		c.RunE = func(c *cobra.Command, args []string) error {
			if !canBeHost {
				return notHost(c.Name())
			}
			return run(c, args)
		}
	}
	return commands
}
