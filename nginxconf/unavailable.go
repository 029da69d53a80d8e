package nginxconf

import (
	"encoding/json"
	"time"

	"github.com/msupply-foundation/conforma-status/status"
)

// Unavailable returns the body of the 503 that requests of a closed site get, as JSON ending in a
// newline. Its last key is what a GraphQL client reads (GraphQL over HTTP: errors in a response). The headers
// beside it are in rules/unavailable.conf.
func Unavailable(d status.Document) []byte {
	type extensions struct {
		Code string `json:"code"`
	}
	type graphQLError struct {
		Message    string     `json:"message"`
		Extensions extensions `json:"extensions"`
	}
	var until *string
	if d.ExpectedUntil != nil {
		text := d.ExpectedUntil.UTC().Format(time.RFC3339)
		until = &text
	}
	out, err := json.Marshal(struct {
		Error         string         `json:"error"`
		Mode          status.Mode    `json:"mode"`
		ExpectedUntil *string        `json:"expectedUntil"`
		PageURL       string         `json:"pageUrl"`
		Errors        []graphQLError `json:"errors"`
	}{"maintenance", d.Mode, until, d.PageURL, []graphQLError{{"maintenance", extensions{"MAINTENANCE"}}}})
	if err != nil { // strings only
		panic("nginxconf: marshal the body of the 503: " + err.Error())
	}
	return append(out, '\n')
}
