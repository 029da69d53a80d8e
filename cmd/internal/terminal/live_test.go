package terminal

import (
	"strings"
	"testing"
)

// A line is shown anew on a terminal, and elsewhere once for each new thing that it says.
func TestLiveLine(t *testing.T) {
	for _, c := range []struct {
		rewrites bool
		want     string
	}{
		{false, "  one\n  two\n  one\n"},
		{true, "\r\x1b[K\x1b[?7l  one\x1b[?7h" + "\r\x1b[K\x1b[?7l  two\x1b[?7h" + "\r\x1b[K" + "\r\x1b[K\x1b[?7l  one\x1b[?7h" + "\r\x1b[K"},
	} {
		var out strings.Builder
		l := liveLine{w: &out, rewrites: c.rewrites}
		for _, line := range []string{"one", "one", "two", "two"} {
			l.show(line)
		}
		l.end()
		l.end()
		l.show("one")
		l.end()
		if out.String() != c.want {
			t.Errorf("%v: %q, want %q", c.rewrites, out.String(), c.want)
		}
	}
}

// What is watched is shown again where it is new, on a terminal in the place of what was there.
func TestWatched(t *testing.T) {
	var out strings.Builder
	shown := New(&out, &out)
	for _, line := range []string{"one", "one", "two"} {
		shown.Watched(func() { shown.people().Write([]byte(line + "\n")) })
	}
	if out.String() != "one\ntwo\n" {
		t.Errorf("it shows %q", out.String())
	}
}
