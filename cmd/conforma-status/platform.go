package main

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
)

// canBeHost is whether applications may live behind an nginx of this machine: what nginx's workers hold is seen in
// Linux's /proc.
var canBeHost = runtime.GOOS == "linux"

// errNotHost ends a command that a machine which can't be a host doesn't have.
var errNotHost = errors.New("it runs on the application's host, a Linux machine with nginx")

// onHost has commands, and those below them, do nothing but say so where this machine can't be a host.
func onHost(commands ...*cobra.Command) []*cobra.Command {
	for _, c := range commands {
		onHost(c.Commands()...)
		run := c.RunE
		c.RunE = func(c *cobra.Command, args []string) error {
			if !canBeHost {
				return usage(fmt.Errorf("%s: %w", c.Name(), errNotHost), terminal.HintElsewhere)
			}
			return run(c, args)
		}
	}
	return commands
}
