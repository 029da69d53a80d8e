package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
)

// Run puts everything up, takes the tour, and takes everything down again, however the tour ends. Unless it runs once
// only, it stays up until ctx is done, which is no error. The error may wrap ErrNoNginx.
func Run(ctx context.Context, t *terminal.Terminal, once bool) (err error) {
	d := &demo{terminal: t}
	defer func() {
		if down := d.takeDown(); down != nil {
			err = errors.Join(err, fmt.Errorf("clean up: %w", down))
		}
	}()
	err = d.show(ctx, once)
	switch {
	case err == nil || ctx.Err() == nil:
		return err
	case once:
		return errors.New("it was interrupted")
	}
	return nil // it was told to end, which is how it ends
}

// show puts everything up and takes the tour. Unless it is for once it then stays up until ctx is done.
func (d *demo) show(ctx context.Context, once bool) error {
	d.terminal.DemoBegins()
	if err := d.putUp(ctx); err != nil {
		return err
	}
	if !once {
		d.addresses()
	}
	looked, differed, err := newTour(d).walk(ctx)
	if err != nil {
		differed = append(differed, err.Error())
	}
	if len(differed) > 0 {
		return fmt.Errorf("this differed:\n  %s", strings.Join(differed, "\n  "))
	}
	d.terminal.DemoPassed(looked)
	if once {
		return nil
	}
	d.terminal.DemoStays()
	d.addresses()
	<-ctx.Done()
	return nil
}

// addresses shows where things are, and commands to try.
func (d *demo) addresses() {
	var commands []string
	for _, args := range [][]string{
		{"set", "offline", "--eta", tourETA, "--message", "Back soon."}, {"set", "admin"}, {"get"}, {"set", "online"},
	} {
		commands = append(commands, shellWords(append([]string{d.self, "--config", d.path("config.toml")}, args...)))
	}
	d.terminal.DemoAddresses(d.appURL, d.pageURL, commands)
}
