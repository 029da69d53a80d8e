// Package webhook tells other programs what happens to a site: it keeps events in the state directory until they are
// delivered, and signs them as Standard Webhooks says (https://github.com/standard-webhooks/standard-webhooks).
package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/msupply-foundation/conforma-status/status"
)

// Type is what happened.
type Type string

// The types of events. A receiver has to expect further ones.
const (
	Scheduled Type = "scheduled" // a maintenance window was announced
	Moved     Type = "moved"     // its times, or its words, are others
	Cancelled Type = "cancelled"
	Missed    Type = "missed" // it did not begin in time
	Closed    Type = "closed" // the site is offline
	Extended  Type = "extended"
	Admin     Type = "admin" // administrators are let in
	Opened    Type = "opened"
	Overdue   Type = "overdue" // the ETA has passed, and the site is still closed
	Test      Type = "test"
)

// Event is the body of a webhook. All of it may be read by anybody: who changed something and why is not in it.
type Event struct {
	Type Type      `json:"type"`
	At   time.Time `json:"timestamp"`
	Data Data      `json:"data"`
}

// Data is what an event is about: the status document of the site that it concerns, in part.
type Data struct {
	Site     string      `json:"site"`
	Mode     status.Mode `json:"mode"`
	Previous status.Mode `json:"previous"`
	// Safe is whether a snapshot can be taken; nil while the site is open.
	Safe          *bool             `json:"safe"`
	Seq           uint64            `json:"seq"`
	Since         *time.Time        `json:"since"` // nil in a test
	ExpectedUntil *time.Time        `json:"expectedUntil"`
	Message       *string           `json:"message"`
	Messages      map[string]string `json:"messages"`
	AppURL        string            `json:"appUrl"`
	PageURL       string            `json:"pageUrl"`
	// Window is the maintenance window that was scheduled, moved, cancelled or missed; nil in all other events.
	Window *status.ScheduledWindow `json:"window,omitempty"`
}

// Of is an event about what a status document says.
func Of(t Type, at time.Time, d status.Document, previous status.Mode) Event {
	return Event{Type: t, At: at, Data: Data{
		Site: d.Site, Mode: d.Mode, Previous: previous, Seq: d.Seq, Since: &d.Since, ExpectedUntil: d.ExpectedUntil,
		Message: d.Message, Messages: d.Messages, AppURL: d.AppURL, PageURL: d.PageURL,
	}}
}

// ID names the event. If an interrupted change is finished later, its event has the same ID: so receivers know that
// they have it already.
func (e Event) ID() string {
	e.At = time.Time{}
	sum := sha256.Sum256(e.body())
	return "msg_" + hex.EncodeToString(sum[:16])
}

func (e Event) body() []byte {
	body, err := json.Marshal(e)
	if err != nil {
		panic("webhook: marshal: " + err.Error()) // it holds nothing that can't be
	}
	return body
}

// Where is the place of a webhook for people: what may be secret, its path, is left out.
func Where(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	host, path, _ := strings.Cut(rest, "/")
	if path != "" {
		host += "/…"
	}
	return scheme + "://" + host
}
