package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/fault"
)

// setFlags are the flags of set.
type setFlags struct {
	sites                    []string
	all, force, dryRun, json bool
	noCut                    bool
	drain                    time.Duration
	eta, reason              string
	messages                 []string
}

// defaultDrain is how long a closing waits for what was let in earlier before it cuts it.
const defaultDrain = 30 * time.Second

func (a *app) setCommand() *cobra.Command {
	f := setFlags{drain: defaultDrain}
	cmd := &cobra.Command{
		Use: "set MODE", Short: helpSet, Long: helpSetLong, Args: arguments(cobra.ExactArgs(1)),
		ValidArgs: []string{string(status.Online), string(status.Offline), string(status.Admin)},
		RunE: func(cmd *cobra.Command, args []string) error {
			a.ui.json = f.json
			_, err := a.set(cmd.Context(), args[0], f, cmd.Flags().Changed)
			return err
		},
	}
	cmd.Flags().StringArrayVar(&f.sites, "site", nil, helpSites)
	cmd.Flags().BoolVar(&f.all, "all", false, helpAll)
	cmd.Flags().StringVar(&f.eta, "eta", "", helpETA)
	cmd.Flags().StringArrayVar(&f.messages, "message", nil, helpMessage)
	cmd.Flags().StringVar(&f.reason, "reason", "", helpReason)
	cmd.Flags().Var(&wait{&f.drain}, "drain", helpDrain)
	cmd.Flags().BoolVar(&f.noCut, "no-cut", false, helpNoCut)
	cmd.Flags().BoolVar(&f.force, "force", false, helpForce)
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, helpDryRun)
	cmd.Flags().BoolVar(&f.json, "json", false, helpJSON)
	return cmd
}

func (a *app) set(ctx context.Context, modeName string, f setFlags, given func(string) bool) ([]*maintenance.Receipt, error) {
	mode, err := status.ParseMode(modeName)
	if err != nil {
		return nil, misused(err, hintModes)
	}
	req := maintenance.Request{Mode: mode, Reason: f.reason, Force: f.force, DryRun: f.dryRun, Drain: f.drain, NoCut: f.noCut}
	if err := wordsForVisitors(&req, f, given); err != nil {
		return nil, err
	}
	var stops []config.Scope
	if mode == status.Admin {
		stops = []config.Scope{config.Tokens, config.Pages}
	}
	c, chosen, err := a.loadSites(f.sites, f.all, stops...)
	if err != nil {
		return nil, err
	}
	req.Sites = chosen
	if mode == status.Admin {
		if err := a.readyForAdmin(ctx, c, req.Sites); err != nil {
			return nil, err
		}
	}
	a.untranslated(c, req)
	return a.change(ctx, c, req)
}

// untranslated warns of pages that show the message in a language that is not theirs.
func (a *app) untranslated(c *config.Config, req maintenance.Request) {
	if req.Message != nil || len(req.Messages) == 0 {
		return
	}
	loaded, err := contents(c)
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
			a.ui.warn(fmt.Sprintf(wordUntranslated, s.Name, strings.Join(lacking, ", ")))
		}
	}
}

// wordsForVisitors reads the flags that end up in the status document.
func wordsForVisitors(req *maintenance.Request, f setFlags, given func(string) bool) error {
	if req.Mode == status.Online && (given("eta") || given("message")) {
		return misused(errors.New(wordOnlineSaysNothing), hintOnlineSaysNothing)
	}
	if given("eta") {
		eta, err := parseWhen(f.eta, time.Now())
		if err != nil {
			return usage(fmt.Errorf("read --eta: %w", err), hintWhen)
		}
		req.ETA = &eta
	}
	if given("message") {
		var err error
		if req.Message, req.Messages, err = parseMessages(f.messages); err != nil {
			return usage(fmt.Errorf("read --message: %w", err), hintMessage)
		}
	}
	return nil
}

// parseMessages reads the values of --message: the text for everybody, nil where there is none, and those for readers of
// one language, nil where there are none. What begins like a message in one language can be said to everybody behind a "=" of its own.
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
func (a *app) change(ctx context.Context, c *config.Config, req maintenance.Request) ([]*maintenance.Receipt, error) {
	h, err := a.host(c)
	if err != nil {
		return nil, err
	}
	receipts, err := h.Set(ctx, req)
	if !req.DryRun {
		a.metrics(ctx, c, h)
	}
	if err != nil {
		return nil, a.stateError(err)
	}
	return receipts, a.report(receipts)
}

// report prints the receipts of a change and returns the error that carries their exit code.
func (a *app) report(receipts []*maintenance.Receipt) error {
	a.ui.receipts(receipts)
	if code := receiptCode(receipts); code != exitDone {
		return &coded{code: code, err: errSaid}
	}
	return nil
}

// stateError adds what to do about an error of the state directory.
func (a *app) stateError(err error) error {
	switch {
	case errors.Is(err, state.ErrRecord):
		return failed(err, hintRecord)
	case errors.Is(err, state.ErrJournal):
		return failed(err, hintJournal)
	case fileHint(err) != "":
		return failed(err, fileHint(err))
	case errors.Is(err, maintenance.ErrHoles):
		return failed(fmt.Errorf("change the mode: %w", err), hintHoles)
	case errors.Is(err, maintenance.ErrNginxNeeded):
		return &coded{exitUnsafe, fmt.Errorf("finish the interrupted change: %w", err), []string{hintWaits}}
	case errors.Is(err, maintenance.ErrClaimed):
		return failed(err, hintClaimed)
	case errors.Is(err, maintenance.ErrInterrupted):
		return failed(err, hintInterrupted)
	case errors.Is(err, state.ErrBusy):
		return failed(err, hintBusy)
	}
	return failed(err, hintFor(err)...)
}

// readyForAdmin finds out whether administrators could get in at all: it is an error where nobody could be told from
// anybody, and a warning where the gate merely doesn't answer at the moment.
func (a *app) readyForAdmin(ctx context.Context, c *config.Config, sites []config.Site) error {
	if err := withoutJWT(c, sites); err != nil {
		return err
	}
	for _, s := range sites {
		if _, err := secretSource(s)(); err != nil {
			return usage(fmt.Errorf("read the secret of %s: %w", s.Name, err), gate.Hint(err))
		}
		if s.Preset == "" && len(s.LoginPaths) == 0 {
			a.ui.warn(fmt.Sprintf(wordNoLogin, s.Name))
		}
	}
	if _, err := contents(c); err != nil {
		return err
	}
	if err := gateAnswers(ctx, c.Gate.Socket); err != nil {
		a.ui.warn(fmt.Sprintf(wordNoGate, c.Gate.Socket))
	}
	return nil
}

// withoutJWT is the error that names each of the sites that has no [site.jwt], nil where all have one.
func withoutJWT(c *config.Config, sites []config.Site) error {
	var faults fault.List
	for _, s := range sites {
		if s.JWT == nil {
			faults = append(faults, fault.Fault{File: c.File, Line: s.Line, Key: "site.jwt", Problem: fmt.Sprintf(wordNoJWT, s.Name)})
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return usage(fmt.Errorf("read the configuration: %w", faults), hintNoJWT)
}

// gateTimeout bounds the question whether a gate is there.
const gateTimeout = time.Second

// gateClient asks whoever listens at the socket.
func gateClient(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
		DisableKeepAlives: true,
	}}
}

// gateAnswers returns an error when no gate answers on the socket.
func gateAnswers(ctx context.Context, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, gateTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://gate/healthz", nil)
	if err != nil {
		return err
	}
	resp, err := gateClient(socket).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return nil
}
