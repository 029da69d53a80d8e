// Package terminal has what people read and see: help, hints, and a view for each command. The rules are:
//
//   - With --json exactly one document goes to standard output, and all that is meant for people to
//     standard error.
//   - Errors read "conforma-status: doing what: why", in lower case and without a full stop, followed
//     by a "hint:" line where there is something to do.
package terminal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// Terminal talks to people, and in JSON to programs.
type Terminal struct {
	JSON     bool      // whether a document goes to standard output
	Apart    bool      // keeps words for people off standard output, which is another program's
	Words    Words     // how much is said
	Out, Err io.Writer // where results go, and words about them

	live      liveLine
	went      went
	coloured  func(io.Writer) bool // whether what is written there may be in colour
	columns   func(io.Writer) int  // how wide the terminal is, 0 where it isn't one
	unwritten error                // of the document
	watched   string               // what Watched printed last
}

// Words is how much is said to people.
type Words int

const (
	// Plain says what came of it, and what takes long.
	Plain Words = iota
	// Quiet says what is wrong, and what was asked for.
	Quiet
	// Verbose says each step, and each check, that went well too.
	Verbose
)

// New returns a terminal that writes to standard output and standard error.
func New(stdout, stderr io.Writer) *Terminal {
	return &Terminal{Out: stdout, Err: stderr, live: liveLine{w: stderr, rewrites: rewrites(stderr)}, coloured: coloured, columns: columns}
}

// narrow is the width of a terminal on which a table's last column has no room.
const narrow = 70

// columns is how wide the terminal is that w is, 0 where it isn't one.
func columns(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// lines prints text, whose lines are put below each other where the terminal ends.
func (t *Terminal) lines(w io.Writer, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		rest := strings.TrimLeft(line, " ")
		indent := line[:len(line)-len(rest)]
		fmt.Fprint(w, indent+strings.TrimPrefix(wrapped(rest, t.columns(w), indent+"  "), indent+"  "))
	}
}

// wrapped is text in lines of at most width columns, each behind the indent; in one line where width is 0.
func wrapped(text string, width int, indent string) string {
	var b strings.Builder
	line := indent
	for word := range strings.FieldsSeq(text) {
		if width > 0 && line != indent && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			b.WriteString(line + "\n")
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	return b.String() + line + "\n"
}

// The colours of the 16 that each terminal has (console_codes(4)).
const (
	red    = "31"
	green  = "32"
	yellow = "33"
)

// coloured reports whether w is a terminal whose owner has nothing against colours (no-color.org).
func coloured(w io.Writer) bool { return rewrites(w) && os.Getenv("NO_COLOR") == "" }

// paint gives text, which goes to w, a colour where there are any.
func (t *Terminal) paint(w io.Writer, colour, text string) string {
	if t.coloured == nil || !t.coloured(w) {
		return text
	}
	return "\x1b[1;" + colour + "m" + text + "\x1b[0m"
}

// count is a number of things.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// people is where words for people go.
func (t *Terminal) people() io.Writer {
	if t.JSON || t.Apart {
		return t.Err
	}
	return t.Out
}

// unlessQuiet is where words for people go that are not wanted with --quiet.
func (t *Terminal) unlessQuiet() io.Writer {
	if t.Words == Quiet {
		return io.Discard
	}
	return t.people()
}

// Warn prints a warning.
func (t *Terminal) Warn(text string) { fmt.Fprintf(t.Err, "warning: %s\n", text) }

// Fail prints the error that ended a command, with its hints.
func (t *Terminal) Fail(err error) { failAfter(t, []string{}, err) }

// failAfter is Fail for a command that had done something about sites before: they are in the one document, too.
func failAfter[T any](t *Terminal, done []T, err error) {
	hints := hintsAbout(err, "NAME")
	t.problem(err.Error(), hints)
	t.document(struct {
		Version int      `json:"version"`
		Sites   []T      `json:"sites"`
		Error   string   `json:"error"`
		Hints   []string `json:"hints"`
	}{1, done, err.Error(), append([]string{}, hints...)})
}

func (t *Terminal) problem(text string, hints []string) {
	t.live.end()
	fmt.Fprintf(t.Err, "conforma-status: %s\n", text)
	t.hint(hints...)
}

func (t *Terminal) hint(hints ...string) {
	for _, hint := range hints {
		fmt.Fprintf(t.Err, "hint: %s\n", hint)
	}
}

// document prints the one JSON document of a command, where one is wanted.
func (t *Terminal) document(v any) {
	if !t.JSON {
		return
	}
	e := json.NewEncoder(t.Out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil && !errors.Is(err, syscall.EPIPE) { // who reads standard output may be gone
		t.unwritten = err
	}
}

// Unwritten returns why the JSON document could not be printed; nil where it was, or none had to be, or its reader
// has gone.
func (t *Terminal) Unwritten() error { return t.unwritten }

// documentOf prints the document of a command that is about sites, where one is wanted. Without sites it has none, not
// null.
func documentOf[T any](t *Terminal, all []T) {
	t.document(struct {
		Version int `json:"version"`
		Sites   []T `json:"sites"`
	}{1, append([]T{}, all...)})
}

// clock is a time as an operator reads it: in the machine's zone, with the date, and in UTC behind it.
func clock(t time.Time) string { return clockIn(t, time.Local) }

func clockIn(t time.Time, zone *time.Location) string {
	local, utc := t.In(zone), t.UTC()
	text := local.Format("2006-01-02 15:04:05 MST")
	switch _, offset := local.Zone(); {
	case offset == 0:
		return text
	case local.Format(time.DateOnly) == utc.Format(time.DateOnly):
		return text + utc.Format(" (15:04:05 UTC)")
	}
	return text + utc.Format(" (2006-01-02 15:04:05 UTC)")
}

// LaterDay warns that a time of day, as it was said, has passed today and is taken for another day.
func (t *Terminal) LaterDay(said string, at, now time.Time) {
	day := ""
	if at.In(now.Location()).Format(time.DateOnly) == now.AddDate(0, 0, 1).Format(time.DateOnly) {
		day = "tomorrow, "
	}
	t.Warn(fmt.Sprintf("%s has passed today: it is taken for %s%s", oneLine(said), day, clock(at)))
}

// oneLine keeps what somebody typed, or what a program said, from taking over the terminal.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, unicode.IsControl), " ")
}
