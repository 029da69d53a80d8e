package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/publishing"
	"github.com/msupply-foundation/conforma-status/cmd/internal/setup"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/cmd/internal/when"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/fault"
)

// setFlags are the flags of set.
type setFlags struct {
	which    selection
	eta      string
	messages []string
	given    func(name string) bool // whether a flag was given
	request  maintenance.Request    // what is asked for in so many words
	wait     time.Duration          // for the hosts of a fleet
}

// defaultDrain is how long a closing waits for what was let in earlier before it cuts it.
const defaultDrain = 30 * time.Second

// register has a command take the flags that set and run have in common.
func (f *setFlags) register(cmd *cobra.Command) {
	f.request.Drain, f.wait, f.given = defaultDrain, defaultWait, cmd.Flags().Changed
	f.which.flags(cmd)
	cmd.Flags().StringVar(&f.eta, "eta", "", terminal.HelpETA)
	cmd.Flags().StringArrayVar(&f.messages, "message", nil, terminal.HelpMessage)
	cmd.Flags().StringVar(&f.request.Reason, "reason", "", terminal.HelpReason)
	cmd.Flags().Var(&when.Wait{D: &f.request.Drain}, "drain", terminal.HelpDrain)
	cmd.Flags().BoolVar(&f.request.Force, "force", false, terminal.HelpForce)
}

func (a *app) setCommand() *cobra.Command {
	var f setFlags
	cmd := &cobra.Command{
		Use: "set MODE", Short: terminal.HelpSet, Long: terminal.HelpSetLong, Args: a.oneMode,
		ValidArgsFunction: completeMode,
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := a.set(cmd.Context(), args[0], f)
			return err
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&f.request.NoCut, "no-cut", false, terminal.HelpNoCut)
	cmd.Flags().Var(&when.Wait{D: &f.wait}, "wait", terminal.HelpWait)
	cmd.Flags().BoolVar(&f.request.DryRun, "dry-run", false, terminal.HelpDryRun)
	a.jsonFlag(cmd)
	return cmd
}

// completeMode offers the modes, once.
func completeMode(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []cobra.Completion{string(status.Online), string(status.Offline), string(status.Admin)}, cobra.ShellCompDirectiveNoFileComp
}

// set changes the mode of the sites as the flags say, and reports.
func (a *app) set(ctx context.Context, modeName string, f setFlags) ([]*maintenance.Receipt, error) {
	mode, err := status.ParseMode(modeName)
	if err != nil {
		return nil, noMode(err, modeName)
	}
	// A change makes some 15 MB of garbage. Collecting it takes processor time before a site is shut; it ends with us.
	debug.SetGCPercent(400)
	req := f.request
	req.Mode = mode
	if err := a.readWords(f, &req, time.Now()); err != nil {
		return nil, err
	}
	var stops []config.Scope
	if mode == status.Admin {
		stops = []config.Scope{config.Tokens, config.Pages}
	}
	h, chosen, err := a.hostOf(f.which, stops...)
	if err != nil {
		return nil, err
	}
	c := h.Config
	req.Sites = chosen
	// Whoever has the fleet's key and the rights orders from anywhere: what a site needs is on its hosts.
	orders := c.Fleet != nil && !req.DryRun
	if !canBeHost && !orders {
		return nil, notHost("set")
	}
	if mode == status.Admin && (!orders || canBeHost && h.Dir().Exists()) {
		if err := a.readyForAdmin(ctx, c, req.Sites); err != nil {
			return nil, err
		}
	}
	a.untranslated(c, req)
	if orders {
		f.notOrdered(a.terminal)
		return a.order(ctx, h, req, f.wait)
	}
	if f.given("wait") && c.Fleet == nil {
		return nil, misused(errors.New("--wait is for the hosts of a fleet, and there is no [fleet]"), terminal.HintFleet)
	}
	return a.change(ctx, h, req)
}

// notOrdered warns of what an order doesn't carry to the hosts.
func (f setFlags) notOrdered(t *terminal.Terminal) {
	for _, name := range []string{"drain", "no-cut", "force"} {
		if f.given(name) {
			t.Warn(fmt.Sprintf("--%s counts only where this host is closed alone because the store is away: an order doesn't carry it to the hosts", name))
		}
	}
}

// untranslated warns of pages that show the message in a language that is not theirs.
func (a *app) untranslated(c *config.Config, req maintenance.Request) {
	if req.Message != nil || len(req.Messages) == 0 {
		return
	}
	loaded, err := publishing.Contents(c)
	if err != nil {
		return // publish says why
	}
	base := func(tag string) string {
		base, _, _ := strings.Cut(tag, "-")
		return base
	}
	for _, s := range req.Sites {
		var lacking []string
		for _, page := range loaded[s.Name].Languages() {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(req.Messages)), func(tag string) bool { return base(tag) == base(page) }) {
				lacking = append(lacking, page)
			}
		}
		if len(lacking) > 0 {
			a.terminal.Warn(fmt.Sprintf("%s: the message has no text for readers of %s: they get it in another language; add a --message TEXT for everybody", s.Name, strings.Join(lacking, ", ")))
		}
	}
}

// readWords reads the flags that end up in the status document.
func (a *app) readWords(f setFlags, req *maintenance.Request, now time.Time) (err error) {
	if req.Mode == status.Online && (f.given("eta") || f.given("message")) {
		return misused(errors.New("a site that is online has neither an ETA nor a message"), terminal.HintOnlineSaysNothing)
	}
	if f.given("eta") {
		eta, err := a.readTime(f.eta, now)
		if err != nil {
			return usage(fmt.Errorf("read --eta: %w", err), terminal.HintWhen)
		}
		req.ETA = &eta
	}
	req.Message, req.Messages, err = readMessages(f.messages)
	return err
}

// readMessages is parseMessages for the flag.
func readMessages(values []string) (all *string, of map[string]string, err error) {
	if all, of, err = parseMessages(values); err != nil {
		err = usage(fmt.Errorf("read --message: %w", err), terminal.HintMessage)
	}
	return all, of, err
}

// parseMessages reads the values of --message: the text for everybody, nil where there is none, and those for readers
// of one language, nil where there are none. What begins like a message in one language can be said to everybody
// behind a "=" of its own.
func parseMessages(values []string) (all *string, of map[string]string, err error) {
	of = map[string]string{}
	for _, text := range values {
		lang, rest, found := strings.Cut(text, "=")
		if found && status.IsLanguage(lang) {
			text = rest
		} else {
			lang, text = "", strings.TrimPrefix(text, "=")
		}
		if err := status.ValidateMessage(text); err != nil {
			if lang != "" {
				return nil, nil, fmt.Errorf("the message in %s %w", lang, err)
			}
			return nil, nil, fmt.Errorf("the message %w", err)
		}
		_, twice := of[lang]
		switch {
		case lang == "" && all != nil:
			return nil, nil, errors.New("there are two messages for everybody")
		case twice:
			return nil, nil, fmt.Errorf("there are two messages in %s", lang)
		case lang == "":
			all = &text
		default:
			of[lang] = text
		}
	}
	if len(of) == 0 {
		of = nil
	}
	return all, of, nil
}

// change carries a request out and reports.
func (a *app) change(ctx context.Context, h *maintenance.Host, req maintenance.Request) ([]*maintenance.Receipt, error) {
	if req.Mode.Closed() && !req.DryRun {
		if err := publishing.Keep(h, req.Sites); err != nil {
			a.terminal.Warn(fmt.Sprintf("nginx shows the page as it was before, or none: %v", err))
		}
	}
	receipts, err := h.Set(ctx, req)
	if !req.DryRun {
		a.tell(ctx, h)
	}
	return receipts, a.came(receipts, err)
}

// came reports what came of a change, and returns the error that ends the command.
func (a *app) came(receipts []*maintenance.Receipt, err error) error {
	if err == nil {
		return a.report(receipts)
	}
	if err = doing(err); len(receipts) == 0 {
		return err
	}
	a.terminal.ReceiptsAndFail(receipts, err) // something was done before it failed
	return said(exitCode(err))
}

// report prints the receipts of a change and returns the error that carries their exit code.
func (a *app) report(receipts []*maintenance.Receipt) error {
	a.terminal.Receipts(receipts)
	return said(receiptCode(receipts))
}

// doing says what was being done where an error of a change doesn't.
func doing(err error) error {
	switch {
	case errors.Is(err, maintenance.ErrHoles):
		return fmt.Errorf("change the mode: %w", err)
	case errors.Is(err, maintenance.ErrNginxNeeded):
		return fmt.Errorf("finish the interrupted change: %w", err)
	}
	return err
}

// readyForAdmin finds out whether administrators could get in. It returns an error where they could never, and only
// warns where the gate doesn't answer at the moment.
func (a *app) readyForAdmin(ctx context.Context, c *config.Config, sites []config.Site) error {
	if err := lettingNobodyIn(c, sites); err != nil {
		return err
	}
	needsGate := false
	for _, s := range sites {
		if s.JWT == nil && !hasPassKey(c, s) {
			continue // its addresses are let in by nginx alone
		}
		needsGate = true
		if _, err := secrets(c, s); err != nil {
			return err
		}
		if s.JWT != nil && s.Preset == "" && len(s.LoginPaths) == 0 {
			a.terminal.Warn(fmt.Sprintf("site %s has neither preset nor login_paths: nobody can reach a login page in admin mode", s.Name))
		}
	}
	if _, err := publishing.Contents(c); err != nil {
		return err
	}
	if needsGate {
		a.missGate(ctx, c.Gate.Socket)
	}
	return nil
}

// hasPassKey reports whether there is a file for the key of the passes of a site without a [site.jwt].
func hasPassKey(c *config.Config, s config.Site) bool {
	_, err := os.Lstat(setup.SecretFile(c, s))
	return !errors.Is(err, fs.ErrNotExist)
}

// missGate warns where no gate answers.
func (a *app) missGate(ctx context.Context, socket string) {
	if err := (gate.Client{Socket: socket}).Answers(ctx); err != nil {
		a.terminal.Warn(fmt.Sprintf("no gate answers at %s: until it runs nobody gets in by a token or a pass (systemctl start conforma-status-gate, or conforma-status gate); the login page works", socket))
	}
}

// lettingNobodyIn is the error that names each site which would let nobody in in admin mode: no token, no address and
// no pass. It is nil if there is no such site.
func lettingNobodyIn(c *config.Config, sites []config.Site) error {
	var faults fault.List
	for _, s := range sites {
		if s.JWT == nil && len(s.Allow) == 0 && !hasPassKey(c, s) {
			faults = append(faults, fault.Fault{File: c.File, Line: c.LineOf(s), Key: "site.admin", Problem: fmt.Sprintf("site %s lets nobody in while in admin mode", s.Name)})
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return usage(fmt.Errorf("read the configuration: %w", faults), terminal.HintNobody)
}
