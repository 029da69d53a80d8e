package rig

import (
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
