package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func (a *app) demoCommand() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use: "demo", Short: helpDemo, Long: helpDemoLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			// A terminal that is closed, or a reader of the output that has gone, must not leave anything behind either.
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP, syscall.SIGPIPE)
			defer stop()
			err := a.demo(ctx, once)
			if errors.Is(err, errNoNginx) {
				return failed(fmt.Errorf("demo: %w", err), hintDemoNoNginx)
			}
			if err != nil {
				return failed(fmt.Errorf("demo: %w", err))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, helpDemoOnce)
	return cmd
}

// demo shows everything, and takes it down again however that ends.
func (a *app) demo(ctx context.Context, once bool) (err error) {
	d := &demo{ui: a.ui}
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
		return errors.New(wordDemoInterrupted)
	}
	return nil // it was told to end, which is how it ends
}

// show puts everything up and takes the tour. Unless it is for once it then stays up until ctx is done.
func (d *demo) show(ctx context.Context, once bool) error {
	d.ui.demoBegins()
	if err := d.putUp(ctx); err != nil {
		return err
	}
	if !once {
		d.ui.demoAddresses(d)
	}
	looked, differed, err := newTour(d).walk(ctx)
	if err != nil {
		differed = append(differed, err.Error())
	}
	if len(differed) > 0 {
		return fmt.Errorf(wordDemoDiffered, strings.Join(differed, "\n  "))
	}
	d.ui.demoPassed(looked)
	if once {
		return nil
	}
	d.ui.demoStays()
	d.ui.demoAddresses(d)
	<-ctx.Done()
	return nil
}
