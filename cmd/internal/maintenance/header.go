package maintenance

import (
	"bytes"
	"regexp"
	"strconv"

	"github.com/msupply-foundation/conforma-status/status"
)

var headerLine = regexp.MustCompile(`^# conforma-status: site \S+ is (online|offline|admin), revision ([0-9]+-[0-9a-f]{8})\.`)

// header reads mode and revision from the first line of rendered rules; both are "" when they aren't ours.
func header(rules []byte) (status.Mode, string) {
	m := headerLine.FindSubmatch(rules)
	if m == nil {
		return "", ""
	}
	return status.Mode(m[1]), string(m[2])
}

// order is the number at the start of a revision, 0 when there is none.
func order(revision string) uint64 {
	n, _, _ := bytes.Cut([]byte(revision), []byte("-"))
	v, err := strconv.ParseUint(string(n), 10, 63)
	if err != nil {
		return 0
	}
	return v
}
