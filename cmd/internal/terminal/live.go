package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// liveLine is a line that says how far something has got, and says it anew.
type liveLine struct {
	w        io.Writer
	rewrites bool   // whether w can show a line anew
	last     string // what is shown
}

// rewrites reports whether a line that was written to w can be shown anew.
func rewrites(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// show replaces the line before it on a terminal; elsewhere it prints a line that says something new below it. The line
// isn't wrapped (DECAWM, see console_codes(4)): on a narrow terminal its further rows would stay.
func (l *liveLine) show(line string) {
	if line == l.last {
		return
	}
	l.last = line
	if l.rewrites {
		fmt.Fprint(l.w, "\r\x1b[K\x1b[?7l  ", line, "\x1b[?7h")
		return
	}
	fmt.Fprintf(l.w, "  %s\n", line)
}

// Watched replaces what print printed before: on a terminal it clears the screen, elsewhere it prints below, and only
// what is new.
func (t *Terminal) Watched(print func()) {
	out, shown := t.Out, &strings.Builder{}
	t.Out = shown
	print()
	t.Out = out
	if shown.String() == t.watched {
		return
	}
	t.watched = shown.String()
	if rewrites(out) {
		fmt.Fprint(out, "\x1b[H\x1b[2J") // console_codes(4): home, and erase the display
	}
	fmt.Fprint(out, t.watched)
}

// end makes room for what comes below the line.
func (l *liveLine) end() {
	if l.last != "" && l.rewrites {
		fmt.Fprint(l.w, "\r\x1b[K")
	}
	l.last = ""
}
