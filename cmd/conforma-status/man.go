//go:build man

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
)

// With the build tag man the program only writes its manual pages, one for each command, into the directory that it is
// called with. The installed program has none of this code.
func init() {
	a := &app{terminal: terminal.New(os.Stdout, os.Stderr)}
	root := a.root()
	root.DisableAutoGenTag = true
	root.Long += "\n\nCommands, each with a manual page of its own, as in conforma-status-set(1):\n\n" + commandList(root)
	indent(root)
	root.CompletionOptions = cobra.CompletionOptions{DisableDefaultCmd: true}
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err == nil && len(os.Args) != 2 {
		err = fmt.Errorf("one argument, the directory, is needed")
	}
	if err == nil {
		date := time.Unix(seconds, 0).UTC()
		err = doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "conforma-status", Manual: "conforma-status", Date: &date}, os.Args[1])
		if err == nil {
			err = os.WriteFile(filepath.Join(os.Args[1], "config.toml.5"), []byte(configPage(date)), 0o644)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "write the manual pages:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// commandList is a line for each command, in the groups of --help.
func commandList(root *cobra.Command) string {
	var b strings.Builder
	for _, group := range root.Groups() {
		fmt.Fprintf(&b, "  %s\n", group.Title)
		for _, c := range root.Commands() {
			if c.GroupID == group.ID && c.IsAvailableCommand() {
				fmt.Fprintf(&b, "    %-10s %s\n", c.Name(), c.Short)
			}
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// configPage is config.toml(5), made from the table that the configuration is read by.
func configPage(date time.Time) string {
	var b strings.Builder
	line := func(text string) { // what begins with a dot or an apostrophe would be a request (groff(7))
		b.WriteString(`\&` + strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text) + "\n")
	}
	fmt.Fprintf(&b, ".TH CONFIG.TOML 5 %q %[2]s %[2]s\n.SH NAME\n", date.Format("2006-01-02"), "conforma-status")
	b.WriteString("config.toml \\- the configuration of conforma\\-status\n.SH DESCRIPTION\n")
	line("/etc/conforma-status/config.toml, or what --config or CONFORMA_STATUS_CONFIG names. It is TOML. Each fault is named with its file, line and key, all of them in one run; an unknown key is one.")
	b.WriteString(".SH AT THE TOP\n")
	for _, k := range config.Keys {
		name := k.Name[strings.LastIndex(k.Name, ".")+1:]
		switch k.Kind {
		case config.Table, config.Tables:
			head := "[" + k.Name + "]"
			if k.Kind == config.Tables {
				head = "[" + head + "]"
			}
			b.WriteString(".SH " + head + "\n")
			line(k.Text)
			continue
		}
		b.WriteString(".TP\n.B " + name + "\n")
		line(k.Text)
		b.WriteString(".br\n")
		line(string(k.Kind) + "; default: " + k.Usual() + "; since " + k.Since)
		if k.Example != "" {
			b.WriteString(".br\n")
			line("Example: " + name + " = " + k.Example)
		}
	}
	b.WriteString(".SH SEE ALSO\n")
	line("conforma-status(1), conforma-status-init(1), conforma-status-doctor(1), /usr/share/doc/conforma-status/CONFIGURATION.md")
	return b.String()
}

// indent has Markdown, by way of which the pages are made, take what is indented in the words of --help as it stands.
func indent(c *cobra.Command) {
	c.Long = strings.ReplaceAll(c.Long, "\n  ", "\n      ")
	for _, sub := range c.Commands() {
		indent(sub)
	}
}
