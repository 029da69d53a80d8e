//go:build man

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
)

// With the build tag man the program writes its manual pages, one a command, into the directory that it is called
// with, and does nothing else: what it takes to write them isn't in the program that is installed.
func init() {
	a := &app{terminal: terminal.New(os.Stdout, os.Stderr)}
	root := a.root()
	root.DisableAutoGenTag = true
	indent(root)
	root.CompletionOptions = cobra.CompletionOptions{DisableDefaultCmd: true}
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err == nil && len(os.Args) != 2 {
		err = fmt.Errorf("one argument, the directory, is needed")
	}
	if err == nil {
		date := time.Unix(seconds, 0).UTC()
		err = doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "conforma-status", Manual: "conforma-status", Date: &date}, os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "write the manual pages:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// indent has Markdown, by way of which the pages are made, take what is indented in the words of --help as it stands.
func indent(c *cobra.Command) {
	c.Long = strings.ReplaceAll(c.Long, "\n  ", "\n      ")
	for _, sub := range c.Commands() {
		indent(sub)
	}
}
