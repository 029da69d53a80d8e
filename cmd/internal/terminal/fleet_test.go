package terminal

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/cmd/internal/fleet"
)

// What went wrong with an order is said with a hint only where there is one.
func TestOrderedWithoutHint(t *testing.T) {
	var out, errs bytes.Buffer
	New(&out, &errs).Ordered(fleet.Orders{{Name: "demo", Err: errors.New("read the switch: it is that of site \"other\"")}})
	if got := errs.String(); !strings.Contains(got, "it is that of site") || strings.Contains(got, "hint:") {
		t.Errorf("it says %q", got)
	}
}
