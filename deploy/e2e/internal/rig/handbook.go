package rig

import (
	"regexp"
	"strings"
	"testing"
)

// HandbookBlock is the first block of code of that kind, "nginx" for one, in the section of the handbook with that
// heading.
func HandbookBlock(tb testing.TB, heading, kind string) string {
	tb.Helper()
	_, section, _ := strings.Cut(ReadFile(tb, Source("deploy", "OPERATIONS.md")), "\n## "+heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	_, rest, found := strings.Cut(section, "\n```"+kind+"\n")
	text, _, _ := strings.Cut(rest, "```\n")
	if !found {
		tb.Fatalf("rig: the handbook has no block of %s below %q", kind, heading)
	}
	return text
}

var linesForNginx = regexp.MustCompile("(?ms)^```nginx\n(.*?)^```$")

// HandbookLines are the lines for nginx that stand under a smaller heading of the handbook, block by block.
func HandbookLines(tb testing.TB, heading string) (blocks []string) {
	tb.Helper()
	_, rest, _ := strings.Cut(ReadFile(tb, Source("deploy", "OPERATIONS.md")), "\n### "+heading+"\n")
	text, _, _ := strings.Cut(rest, "\n### ")
	for _, block := range linesForNginx.FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, block[1])
	}
	if len(blocks) == 0 {
		tb.Fatalf("rig: the handbook has no lines for nginx under %q", heading)
	}
	return blocks
}
