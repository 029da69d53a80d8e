package closing

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// asNobody runs conforma-status as an ordinary user, with a copy of it that they may read. A test that isn't run by
// root runs it as its own user.
func (h *testHost) asNobody(tb testing.TB, args ...string) rig.Result {
	tb.Helper()
	c := rig.Call{Args: args}
	if os.Geteuid() == 0 {
		c.Binary = filepath.Join(h.Nginx.Dir, "conforma-status.bin")
		if out, err := exec.Command("install", "-m", "755", rig.Binary(tb), c.Binary).CombinedOutput(); err != nil {
			tb.Fatalf("copy the binary: %v\n%s", err, out)
		}
		who := fmt.Sprint(rig.Nobody)
		c.Before = []string{"setpriv", "--reuid", who, "--regid", who, "--clear-groups"}
	}
	return h.Call(tb, c)
}

// onTerminal runs conforma-status on a terminal of the kind (as in TERM) and returns all that it writes there, with its
// exit code.
func (h *testHost) onTerminal(tb testing.TB, kind string, args ...string) (string, int) {
	tb.Helper()
	master, slave := openTerminal(tb)
	cmd := exec.Command(rig.Binary(tb), args...)
	cmd.Env, cmd.Dir = append(h.Env(), "TERM="+kind), h.Nginx.Dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	slave.Close()
	text, _ := io.ReadAll(master) // ends in EIO when nobody has the other side any more (pty(7))
	_ = cmd.Wait()                // how it ended is in the exit code
	return string(text), cmd.ProcessState.ExitCode()
}

func openTerminal(tb testing.TB) (master, slave *os.File) {
	tb.Helper()
	check := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatalf("open a terminal: %v", err)
		}
	}
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	check(err)
	tb.Cleanup(func() { master.Close() })
	check(unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	check(err)
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	check(err)
	return master, slave
}
