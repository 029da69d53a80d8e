package terminal

import (
	"cmp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/status"
)

// TestVerdict: the last line says why it is not safe to take a snapshot, and nothing that isn't so.
func TestVerdict(t *testing.T) {
	at := time.Date(2026, 11, 22, 21, 15, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		r    maintenance.Receipt
		ends string
	}{
		{"safe", maintenance.Receipt{SafeSince: &at}, "safe to take a snapshot since " + clock(at)},
		{"repaired on one host of a fleet", maintenance.Receipt{SafeSince: &at, On: maintenance.OnOneOfFleet}, "safe on this host since " + clock(at) + "; conforma-status get has the others"},
		{"left", maintenance.Receipt{Left: 4, Remains: "2 requests", Doubt: state.NotSafeCut}, "2 requests still left"},
		{"cut", maintenance.Receipt{Doubt: state.NotSafeCut}, "something was cut that the application may still be working on"},
		{"not settled", maintenance.Receipt{Doubt: state.NotSafeUnsettled}, "the settled command does not vouch for the application"},
		{"left, and not settled", maintenance.Receipt{Left: 4, Remains: "2 requests", Doubt: state.NotSafeUnsettled}, "2 requests still left"},
		{"one host of a fleet", maintenance.Receipt{On: maintenance.OnOneAlone, Outcome: state.Shut}, "NOT SAFE: this host alone is closed; it becomes an order once the store can be reached, unless somebody orders something newer"},
		{"one host, and something was cut", maintenance.Receipt{On: maintenance.OnOneAlone, Outcome: state.Shut, Doubt: state.NotSafeCut}, "still be working on; this host alone is closed; it becomes an order once the store can be reached, unless somebody orders something newer"},
		{"not looked through", maintenance.Receipt{}, "it is not known whether an earlier request is still running"},
	} {
		c.r.Site, c.r.Mode, c.r.Previous, c.r.Since, c.r.Published = "demo", status.Offline, status.Online, at, c.r.On != maintenance.OnOneAlone
		c.r.Outcome = cmp.Or(c.r.Outcome, state.Done)
		var out strings.Builder
		New(&out, &out).Receipts([]*maintenance.Receipt{&c.r})
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		got := lines[len(lines)-1]
		if !strings.HasPrefix(lines[0], "demo is offline since ") {
			t.Errorf("%s: %s", c.name, lines[0])
		}
		if !strings.HasSuffix(got, c.ends) || (c.r.SafeSince == nil) != strings.HasPrefix(got, "NOT SAFE: ") {
			t.Errorf("%s: %s, want it to end in %q", c.name, got, c.ends)
		}
	}
}

// What is said of a step's time can be read on any terminal.
func TestLasted(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0ms", 40 * time.Microsecond: "0.0ms", 700 * time.Microsecond: "0.7ms", 12 * time.Millisecond: "12.0ms",
		113700 * time.Microsecond: "113.7ms", 999 * time.Millisecond: "999.0ms", 2024300 * time.Microsecond: "2s", 90 * time.Second: "1m30s",
	} {
		if got := lasted(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// What somebody typed, or has in their environment, doesn't take over the terminal of whoever reads it later: neither
// by ESC nor by the control sequence introducer in one character (ECMA-48).
func TestTypedWords(t *testing.T) {
	typed := "a\n\x1b[31mb\u009b31mc\x7f"
	var out strings.Builder
	shown := New(&out, &out)
	shown.Waiting(state.Holder{Operator: typed, Command: typed})
	out.WriteString(eventWords(state.Event{Operator: typed, Reason: typed, Outcome: state.Failed, Error: typed}))
	if lines := strings.Split(out.String(), "\n"); len(lines) != 2 || strings.ContainsFunc(lines[0]+lines[1], unicode.IsControl) {
		t.Errorf("it shows %q", lines)
	}
}
