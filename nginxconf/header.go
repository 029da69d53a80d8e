package nginxconf

import (
	"fmt"
	"hash/fnv"
	"regexp"
	"strconv"
	"strings"

	"github.com/msupply-foundation/conforma-status/status"
)

// header is the first line of rules/head.conf up to the revision. What follows is for people: older rules may have
// other words.
var header = func() *regexp.Regexp {
	line, _, _ := strings.Cut(rule("head"), "{REVISION}")
	var modes []string
	for _, mode := range status.Modes() {
		modes = append(modes, string(mode))
	}
	return regexp.MustCompile("^" + strings.NewReplacer(
		regexp.QuoteMeta("{NAME}"), `\S+`,
		regexp.QuoteMeta("{MODE}"), `(`+strings.Join(modes, "|")+`)`,
	).Replace(regexp.QuoteMeta(line)) + `([0-9]+-[0-9a-f]{8})\.`)
}()

// ReadHeader reads mode and revision from the first line of a site's rendered rules; both are "" where they aren't
// ours.
func ReadHeader(rules []byte) (status.Mode, string) {
	m := header.FindSubmatch(rules)
	if m == nil {
		return "", ""
	}
	return status.Mode(m[1]), string(m[2])
}

// Revision names one rendering of a site's rules: n, which grows with each change on this host, and a
// hash of the rules themselves, so that a host that lost its count can't take old rules for new ones. See Order.
func (s Site) Revision(mode status.Mode, n uint64) (string, error) {
	rules, err := s.Render(mode, "")
	if err != nil {
		return "", err
	}
	h := fnv.New32a()
	h.Write(rules)
	return fmt.Sprintf("%d-%08x", n, h.Sum32()), nil
}

// Order is the number that a revision begins with, 0 where there is none.
func Order(revision string) uint64 {
	number, _, _ := strings.Cut(revision, "-")
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil {
		return 0
	}
	return n
}
