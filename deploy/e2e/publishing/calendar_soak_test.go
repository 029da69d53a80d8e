//go:build soak

package publishing

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// readCalendar prints what Debian's python3-icalendar finds in the calendar on its standard input.
const readCalendar = `
import icalendar, json, sys
utc = lambda p: p.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
c = icalendar.Calendar.from_ical(sys.stdin.buffer.read())
assert c["METHOD"] == "PUBLISH" and c["VERSION"] == "2.0" and not c.errors
for e in c.walk("VEVENT"):
    assert not e.errors, e.errors
    assert str(e["ORGANIZER"]) == e["URL"], e["ORGANIZER"]
    print(json.dumps([e["UID"], str(e["SEQUENCE"]), e["STATUS"], utc(e["DTSTART"]), utc(e["DTEND"]), e["DESCRIPTION"]]))
`

// TestSoakCalendarInPython has Debian's python3-icalendar read the calendar, also one without windows.
func TestSoakCalendarInPython(t *testing.T) {
	t.Parallel()
	s := windows()
	read := func(data []byte) (lines []string) {
		cmd := exec.Command("/usr/bin/python3", "-c", readCalendar)
		cmd.Stdin = bytes.NewReader(data)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for line := range strings.Lines(string(out)) {
			var e []string
			if err := json.Unmarshal([]byte(line), &e); err != nil || len(e) != 6 {
				t.Fatalf("%v: %s", err, line)
			}
			lines = append(lines, fmt.Sprintf("%s %s %s %s %s %q", e[0], e[1], e[2], e[3], e[4], e[5]))
		}
		return lines
	}
	if got, want := strings.Join(read(calendarOf(s)), "\n"), strings.Join(events(s), "\n"); got != want {
		t.Errorf("it reads\n%s\nwant\n%s", got, want)
	}
	s.Windows = s.Windows[:0]
	if got := read(calendarOf(s)); len(got) > 0 {
		t.Errorf("without windows it reads %q", got)
	}
}
