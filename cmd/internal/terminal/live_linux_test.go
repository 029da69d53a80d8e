package terminal

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Neither a pipe nor a device that isn't a terminal can show a line anew.
func TestWhatRewrites(t *testing.T) {
	t.Setenv("TERM", "xterm")
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if rewrites(null) || rewrites(&strings.Builder{}) {
		t.Error("it takes for a terminal what is none")
	}
	terminal := openTerminal(t)
	if !rewrites(terminal) {
		t.Error("it doesn't know a terminal")
	}
	t.Setenv("TERM", "dumb")
	if rewrites(terminal) {
		t.Error("it expects of a dumb terminal what that can't do")
	}
}

// openTerminal returns the end of a pseudoterminal that a program writes to (pts(4)).
func openTerminal(t *testing.T) *os.File {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return terminal
}

// Colours go to a terminal that has them, whose owner has nothing against them.
func TestWhatIsColoured(t *testing.T) {
	terminal := openTerminal(t)
	for _, c := range []struct {
		term, noColour string
		want           bool
	}{{"xterm", "", true}, {"xterm", "1", false}, {"dumb", "", false}} {
		t.Setenv("TERM", c.term)
		t.Setenv("NO_COLOR", c.noColour)
		if got := coloured(terminal); got != c.want {
			t.Errorf("TERM=%s NO_COLOR=%s: %v", c.term, c.noColour, got)
		}
		if coloured(&strings.Builder{}) {
			t.Error("a pipe gets colours")
		}
	}
	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 40}); err != nil {
		t.Fatal(err)
	}
	if got := columns(terminal); got != 40 {
		t.Errorf("it is %d columns wide", got)
	}
}
