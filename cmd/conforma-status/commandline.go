package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/cmd/internal/when"
	"github.com/msupply-foundation/conforma-status/status"
)

// fromOtherTools are the words that other maintenance modes have for our commands.
var fromOtherTools = map[string]string{
	"down": "set offline", "shut": "set offline", "close": "set offline", "lock": "set offline", "maintenance": "set offline", "maintain": "set offline",
	"up": "set online", "open": "set online", "live": "set online", "resume": "set online", "unlock": "set online",
	"offline": "set offline", "online": "set online", "admin": "set admin",
	"state": "get", "show": "get", "info": "get", "list": "get", "ls": "get", "watch": "get --watch",
	"log": "history", "logs": "history", "audit": "history", "check": "doctor", "diagnose": "doctor", "validate": "doctor",
	"setup": "init", "install": "init", "configure": "init", "generate": "render", "upload": "publish", "deploy": "publish", "sync": "publish",
	"serve": "preview", "fix": "reconcile", "repair": "reconcile", "postpone": "extend", "delay": "extend", "eta": "extend",
	"exec": "run", "allow": "pass", "bypass": "pass", "link": "pass",
}

// eitherWay are the words that begin a maintenance, or end it, by what they are said of.
var eitherWay = []string{"on", "off", "start", "stop", "enable", "disable", "begin", "end", "toggle", "activate", "deactivate"}

// modeWords are the words that other tools have for our modes. What could be meant either way is not among them.
var modeWords = map[string]status.Mode{
	"down": status.Offline, "off": status.Offline, "maintenance": status.Offline, "closed": status.Offline, "close": status.Offline, "shut": status.Offline,
	"up": status.Online, "open": status.Online, "live": status.Online, "normal": status.Online, "on": status.Online,
	"admins": status.Admin, "administrators": status.Admin, "restricted": status.Admin,
}

// flagWords are the names that other tools have for our flags.
var flagWords = map[string]string{
	"for": "eta", "until": "eta", "duration": "eta", "time": "eta", "till": "eta", "back": "eta", "expected": "eta",
	"text": "message", "msg": "message", "why": "reason", "because": "reason", "comment": "reason",
	"name": "site", "sites": "site", "timeout": "drain", "wait": "drain", "grace": "drain", "dryrun": "dry-run", "plan": "dry-run", "check": "dry-run",
	"lines": "last", "tail": "last", "limit": "last", "follow": "watch", "expires": "ttl", "silent": "quiet", "debug": "verbose",
	"output": "out", "dir": "out", "apply": "write", "delete": "prune", "conf": "config",
}

// noCommand is the error of a word that is no command below parent, with a hint that names the one that is meant.
func noCommand(parent *cobra.Command, word string) error {
	said := strings.TrimSpace(strings.TrimPrefix(parent.CommandPath(), parent.Root().Name()) + " " + word)
	err := fmt.Errorf("there is no command %q", said)
	if !parent.HasParent() {
		if slices.Contains(eitherWay, strings.ToLower(word)) {
			return misused(err, terminal.HintEitherWay)
		}
		if meant, ok := fromOtherTools[strings.ToLower(word)]; ok {
			return misused(err, fmt.Sprintf(terminal.HintMeantCommand, parent.Root().Name()+" "+meant))
		}
	}
	var names []string
	for _, c := range parent.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, append(c.Aliases, c.Name())...)
		}
	}
	if meant := nearest(word, names); meant != "" {
		return misused(err, fmt.Sprintf(terminal.HintMeantCommand, parent.CommandPath()+" "+meant))
	}
	return misused(err, terminal.HintHelp)
}

// strictestFirst lists the modes.
func strictestFirst() []status.Mode {
	modes := status.Modes()
	slices.Reverse(modes)
	return modes
}

// closedModes lists the modes that close a site, the strictest first.
func closedModes() []status.Mode {
	return slices.DeleteFunc(strictestFirst(), func(m status.Mode) bool { return !m.Closed() })
}

// names are the modes as one types them.
func names(modes []status.Mode) []string {
	var typed []string
	for _, m := range modes {
		typed = append(typed, string(m))
	}
	return typed
}

// noMode is the error of a word that is no mode, with a hint that names the one that is meant.
func noMode(err error, word string) error {
	meant, ok := modeWords[strings.ToLower(word)]
	if !ok {
		meant = status.Mode(nearest(word, names(strictestFirst())))
	}
	if meant == "" {
		return misused(err, terminal.HintModes)
	}
	return misused(err, fmt.Sprintf(terminal.HintMeantMode, meant))
}

// noFlag is the error of a flag that can't be read, with a hint that names the one that is meant.
func (a *app) noFlag(cmd *cobra.Command, err error) error {
	if i := slices.IndexFunc(a.args, func(arg string) bool { return !strings.HasPrefix(arg, "-") }); i == 0 && !cmd.HasParent() {
		return noCommand(cmd, a.args[0]) // the flags of a command that there isn't
	}
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return misused(err, fmt.Sprintf(terminal.HintFlags, cmd.CommandPath()))
	}
	name := strings.ToLower(unknown.GetSpecifiedName())
	meant := flagWords[name]
	if cmd.Flag(meant) == nil {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		meant = nearest(name, names)
	}
	if meant == "" {
		return misused(err, fmt.Sprintf(terminal.HintFlags, cmd.CommandPath()))
	}
	call := cmd.CommandPath() + " --" + meant
	if cmd.Name() == "set" && meant == "eta" {
		call = cmd.Root().Name() + " set offline --eta 30m"
	}
	return misused(err, fmt.Sprintf(terminal.HintMeantFlag, meant, call))
}

// oneMode has set take exactly one word, and says where what stands behind it belongs.
func (a *app) oneMode(cmd *cobra.Command, args []string) error {
	if len(args) < 2 {
		return arguments(cobra.ExactArgs(1))(cmd, args)
	}
	err := fmt.Errorf("set takes one mode: %q is one word too many", args[1])
	mode := args[0]
	if meant, ok := modeWords[strings.ToLower(mode)]; ok {
		mode = string(meant)
	}
	call := fmt.Sprintf("%s set %s", cmd.Root().Name(), mode)
	switch _, notDuration := when.Duration(args[1]); {
	case notDuration == nil, when.IsTimeOfDay(args[1]):
		call += " --eta " + args[1]
	case slices.Contains(a.knownSites(), args[1]):
		call += " --site " + args[1]
	default:
		return misused(err, fmt.Sprintf(terminal.HintUsage, cmd.UseLine()))
	}
	return misused(err, fmt.Sprintf(terminal.HintMeantCommand, call))
}

// nearest is the name that a word is a slip of the keyboard for, or the beginning of; "" where it is like none.
func nearest(word string, names []string) string {
	word = strings.ToLower(word)
	best, far := "", 3
	for _, name := range names {
		d := levenshtein.ComputeDistance(word, name)
		if len(word) > 2 && strings.HasPrefix(name, word) {
			d = min(d, 1)
		}
		sooner := d == far && best != "" && best[0] != word[0] && name[0] == word[0] // the first letter is mostly right
		if (d < far || sooner) && d < len(word) {
			best, far = name, d
		}
	}
	return best
}

// strict has the commands that cobra brings refuse what they don't know: they show help instead, and exit 0.
func strict(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Args = func(_ *cobra.Command, args []string) error {
				if _, rest, err := root.Find(args); err != nil || len(rest) > 0 {
					return noCommand(root, strings.Join(args, " "))
				}
				return nil
			}
		case "completion":
			c.Args, c.RunE = cobra.ArbitraryArgs, wantsMore
		}
	}
}

// holding is a command that only holds others.
func holding(name, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: name, Short: short, Args: cobra.ArbitraryArgs, RunE: wantsMore}
	c.AddCommand(commands...)
	return c
}

// wantsMore is what such a command does.
func wantsMore(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return noCommand(c, args[0])
	}
	var calls []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			calls = append(calls, sub.CommandPath())
		}
	}
	return misused(fmt.Errorf("%s alone does nothing", c.Name()), fmt.Sprintf(terminal.HintUsage, strings.Join(calls, ", or ")))
}

// complete has the shell complete --site of every command by the sites of the configuration, and offer no files where
// none belongs.
func (a *app) complete(c *cobra.Command) {
	if c.Flags().Lookup("site") != nil {
		_ = c.RegisterFlagCompletionFunc("site", a.completeSite)
	}
	if c.ValidArgsFunction == nil && c.Name() != "run" && c.Name() != "units" && !c.HasSubCommands() {
		c.ValidArgsFunction = cobra.NoFileCompletions
	}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if _, done := c.GetFlagCompletionFunc(f.Name); !done && f.Name != "out" && f.Name != "env-files" && f.Name != "config" {
			_ = c.RegisterFlagCompletionFunc(f.Name, cobra.NoFileCompletions)
		}
	})
	for _, sub := range c.Commands() {
		a.complete(sub)
	}
}

// completeSite offers the sites of the configuration.
func (a *app) completeSite(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.knownSites(), cobra.ShellCompDirectiveNoFileComp // whoever presses the tab key reads no errors
}

// arguments wraps cobra's checks of the number of arguments into usage errors.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return misused(err, fmt.Sprintf(terminal.HintUsage, cmd.UseLine()))
		}
		return nil
	}
}

// asksForJSON reports whether the command line asks for JSON, also where it can't be understood otherwise.
func asksForJSON(args []string) bool {
	for _, arg := range args {
		if arg == "--" {
			return false
		}
		if arg == "--json" || arg == "--json=true" {
			return true
		}
	}
	return false
}
