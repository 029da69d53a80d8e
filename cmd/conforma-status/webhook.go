package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/cmd/internal/webhook"
	"github.com/msupply-foundation/conforma-status/status"
)

func (a *app) webhookCommand() *cobra.Command {
	return holding("webhook", terminal.HelpWebhook, a.webhookTestCommand(), a.webhookDeliverCommand())
}

func (a *app) webhookTestCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "test", Short: terminal.HelpWebhookTest, Long: terminal.HelpWebhookTestLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load()
			if err != nil {
				return err
			}
			if len(c.Webhooks) == 0 {
				return usage(errors.New("send a test event: there is no [[webhook]] in the configuration"), terminal.HintNoWebhook)
			}
			tried := make([]terminal.WebhookTried, len(c.Webhooks))
			var all sync.WaitGroup
			for i, h := range c.Webhooks {
				all.Go(func() {
					began := time.Now()
					err := sender().Send(cmd.Context(), h, testEvent(c, began))
					if err == nil {
						webhook.QueueIn(c.StateDir).ForgetGivenUp(h)
					}
					tried[i] = terminal.WebhookTried{Webhook: webhook.Where(h.URL), Line: c.LineOfWebhook(i), Took: time.Since(began), Err: err}
				})
			}
			all.Wait()
			a.terminal.WebhooksTried(tried)
			return said(triedCode(tried))
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

// testEvent is about the first site, and says nothing of it that could be taken for news.
func testEvent(c *config.Config, now time.Time) webhook.Event {
	s := c.Sites[0]
	return webhook.Event{Type: webhook.Test, At: now.UTC().Truncate(time.Millisecond), Data: webhook.Data{
		Site: s.Name, Mode: status.Online, Previous: status.Online, AppURL: s.AppURL, PageURL: s.PageURL,
	}}
}

// triedCode is the exit code for what came of test events: a secret that can't be used is a fault of the configuration.
func triedCode(tried []terminal.WebhookTried) int {
	code := exitDone
	for _, one := range tried {
		switch {
		case webhook.IsOfSecret(one.Err):
			return exitUsage
		case one.Err != nil:
			code = exitFailed
		}
	}
	return code
}

// webhookDeliverCommand is what a change leaves behind to deliver its events, for nobody to wait for.
func (a *app) webhookDeliverCommand() *cobra.Command {
	return &cobra.Command{
		Use: "deliver", Short: terminal.HelpWebhookDeliver, Args: arguments(cobra.NoArgs), Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load()
			if err != nil {
				return err
			}
			return sender().Deliver(cmd.Context(), webhook.QueueIn(c.StateDir), c.Webhooks)
		},
	}
}

func sender() webhook.Sender {
	return webhook.Sender{Client: webhook.NewClient(), Clock: wallClock{}, Agent: "conforma-status/" + version}
}

// deliver starts a process of its own that delivers what waits for the webhooks, and doesn't wait for it.
func (a *app) deliver(c *config.Config) {
	if len(c.Webhooks) == 0 || !webhook.QueueIn(c.StateDir).Any(c.Webhooks) {
		return
	}
	self, err := os.Executable()
	if err == nil {
		cmd := exec.Command(self, "webhook", "deliver", "--config", a.configurationFile())
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // what is typed at our terminal doesn't end it
		if err = cmd.Start(); err == nil {
			err = cmd.Process.Release()
		}
	}
	if err != nil {
		a.terminal.Warn(fmt.Sprintf("the webhooks are told by the next reconcile: %v", err))
	}
}
