package terminal

import (
	"fmt"
	"time"
)

// WebhookTried is what came of a test event.
type WebhookTried struct {
	Webhook string        `json:"webhook"` // scheme and host
	Line    int           `json:"line"`    // of the configuration
	Took    time.Duration `json:"-"`
	Err     error         `json:"-"` // nil where it was taken

	// The same in JSON, which WebhooksTried fills in.
	Taken  bool    `json:"taken"`
	TookMS float64 `json:"tookMs"`
	Error  string  `json:"error,omitempty"`
}

// WebhooksTried prints a row for each webhook, with what to do where its test event was not taken.
func (t *Terminal) WebhooksTried(all []WebhookTried) {
	w, width := t.people(), 0
	for _, one := range all {
		width = max(width, len(one.Webhook))
	}
	for i := range all {
		one := &all[i]
		one.Taken, one.TookMS = one.Err == nil, float64(one.Took.Microseconds())/1000
		words, colour := fmt.Sprintf("taken in %v", one.Took.Round(time.Millisecond)), green
		if one.Err != nil {
			one.Error = one.Err.Error()
			words, colour = "not taken: "+one.Error, red
		}
		fmt.Fprintf(w, "%-*s  line %-3d  %s\n", width, one.Webhook, one.Line, t.paint(w, colour, oneLine(words)))
		for _, hint := range hintsAbout(one.Err, "") {
			fmt.Fprintf(w, "  -> %s\n", hint)
		}
	}
	t.document(struct {
		Version  int            `json:"version"`
		Webhooks []WebhookTried `json:"webhooks"`
	}{1, all})
}
