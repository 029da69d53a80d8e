package status_test

import (
	"fmt"
	"time"

	"github.com/msupply-foundation/conforma-status/status"
)

func ExampleDocument_Marshal() {
	closed := time.Date(2026, 11, 22, 21, 15, 0, 0, time.UTC)
	back := closed.Add(30 * time.Minute)
	text := "We are upgrading Conforma."
	d := status.Document{
		Version: status.Version, Site: "demo", Mode: status.Offline, Seq: 42,
		Since: closed, ExpectedUntil: &back, UpdatedAt: closed,
		Message: &text, Messages: map[string]string{"pt": "Estamos a atualizar o Conforma."},
		AppURL: "https://demo.example.org", PageURL: "https://maintenance.example.org/",
	}
	if err := d.Validate(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s", d.Marshal())
	// Output:
	// {"version":1,"site":"demo","mode":"offline","seq":42,"since":"2026-11-22T21:15:00Z","expectedUntil":"2026-11-22T21:45:00Z","message":"We are upgrading Conforma.","messages":{"pt":"Estamos a atualizar o Conforma."},"next":null,"appUrl":"https://demo.example.org","pageUrl":"https://maintenance.example.org/","updatedAt":"2026-11-22T21:15:00Z"}
}

// All that is wrong is said at once.
func ExampleDocument_Validate() {
	d := status.Document{Version: status.Version, Site: "demo", Mode: "closed", AppURL: "demo.example.org"}
	fmt.Println(d.Validate())
	// Output:
	// mode: unknown mode "closed": want online, offline or admin
	// since is missing
	// updatedAt is missing
	// appUrl: "demo.example.org" is not an absolute http or https URL
	// pageUrl: "" is not an absolute http or https URL
}

func ExampleMode_StricterThan() {
	fmt.Println(status.Offline.StricterThan(status.Admin), status.Online.StricterThan(status.Admin))
	// Output: true false
}
