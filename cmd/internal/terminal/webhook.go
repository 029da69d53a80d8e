package terminal

import (
	"fmt"
	"time"
)

// WebhookTried is what came of a test event.
type WebhookTried struct {
	Where string // scheme and host
	Line  int    // of the configuration
	Took  time.Duration
	Err   error // nil where it was taken
}

// webhookTried is one row of webhook test --json.
type webhookTried struct {
	Webhook string  `json:"webhook"`
	Line    int     `json:"line"` // of the configuration
	Taken   bool    `json:"taken"`
	TookMS  float64 `json:"tookMs"`
	Error   string  `json:"error,omitempty"`
}

// WebhooksTried prints a row for each webhook, with what to do where its test event was not taken.
func (t *Terminal) WebhooksTried(all []WebhookTried) {
	w, rows, width := t.people(), []webhookTried{}, 0
	for _, one := range all {
		width = max(width, len(one.Where))
	}
	for _, one := range all {
		row := webhookTried{Webhook: one.Where, Line: one.Line, Taken: one.Err == nil, TookMS: float64(one.Took.Microseconds()) / 1000}
		words, colour := fmt.Sprintf("taken in %v", one.Took.Round(time.Millisecond)), green
		if one.Err != nil {
			row.Error = one.Err.Error()
			words, colour = "not taken: "+row.Error, red
		}
		fmt.Fprintf(w, "%-*s  line %-3d  %s\n", width, one.Where, one.Line, t.paint(w, colour, oneLine(words)))
		for _, hint := range hintsAbout(one.Err, "") {
			fmt.Fprintf(w, "  -> %s\n", hint)
		}
		rows = append(rows, row)
	}
	t.document(struct {
		Version  int            `json:"version"`
		Webhooks []webhookTried `json:"webhooks"`
	}{1, rows})
}
