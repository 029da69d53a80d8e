package doctor

import (
	"fmt"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/webhook"
)

// deliveredWithin is how soon somebody should be told.
const deliveredWithin = 5 * time.Minute

// webhooks sees whether those who are to be told of each change are told.
func (e *examination) webhooks() {
	queue := webhook.QueueIn(e.Host.Config.StateDir)
	for i, h := range e.Host.Config.Webhooks {
		where := fmt.Sprintf("%s (line %d)", webhook.Where(h.URL), e.Host.Config.LineOfWebhook(i))
		if _, err := webhook.ReadSecret(h.SecretFile); err != nil {
			if !e.denied(checkWebhooks, err) {
				e.fault(checkWebhooks, fmt.Sprintf("%s is told nothing: %v", where, err),
					"a secret that only root may read: "+webhook.MakeSecret)
			}
			continue
		}
		waiting, since, why, given, err := queue.State(h)
		switch {
		case err != nil:
			if !e.denied(checkWebhooks, err) {
				e.fault(checkWebhooks, fmt.Sprintf("%s: %v", where, err), "see what is wrong with "+string(queue))
			}
		case given != nil:
			e.fault(checkWebhooks, fmt.Sprintf("%s did not take %d of its events for a day, and they were given up, the last at %s: %s",
				where, given.Events, given.Last.Format(time.RFC3339), given.Error),
				"mend the receiver, or take the webhook out of the configuration; then conforma-status webhook test")
		case waiting > 0 && e.Now().Sub(since) > deliveredWithin:
			e.warn(checkWebhooks, fmt.Sprintf("%s has not taken %d of its events since %s: %s", where, waiting, since.Format(time.RFC3339), why),
				"conforma-status webhook test says what it answers now")
		default:
			e.ok(checkWebhooks, where+" is told of each change")
		}
	}
}
