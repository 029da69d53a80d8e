//go:build linux

package barrier

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// asNobody is set where the test binary runs itself as an ordinary user.
const asNobody = "CONFORMA_STATUS_TEST_NOBODY"

// TestNotAllowed does everything as a user that may do none of it, in a namespace of its own and in one that it can't
// enter.
func TestNotAllowed(t *testing.T) {
	if os.Getenv(asNobody) != "" {
		asAnOrdinaryUser(t)
		return
	}
	needUsers(t)
	h := newHost(t)
	h.load(h.closed("127.0.0.1:8000"))
	h.must(h.do(func() error {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestNotAllowed$", "-test.v")
		cmd.Env = append(os.Environ(), asNobody+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("--- PASS")) {
			t.Errorf("%v\n%s", err, out)
		}
		return nil
	}))
}

func asAnOrdinaryUser(t *testing.T) {
	r := Rules{Users: []uint32{www}}
	for _, c := range []struct {
		in   workers.Network
		want error
	}{{workers.Network{}, ErrNotAllowed}, {workers.Of(os.Getpid()), ErrNotAllowed}, {workers.Of(1), workers.ErrCantEnter}} {
		table := Table{StateDir: "/var/lib/conforma-status", Network: c.in}
		_, err := table.Read(t.Context())
		for what, err := range map[string]error{
			"load": table.Load(t.Context(), r), "remove": table.Remove(t.Context()), "read": err, "probe": table.Probe(t.Context(), r),
		} {
			if !errors.Is(err, c.want) {
				t.Errorf("%s in %v: %v", what, c.in, err)
			}
			t.Log(err)
		}
	}
}

// TestNamespaceGone asks for the namespace of a process that has ended.
func TestNamespaceGone(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	table := Table{StateDir: "/var/lib/conforma-status", Network: workers.Of(cmd.Process.Pid)}
	if err := table.Load(t.Context(), Rules{}); !errors.Is(err, workers.ErrNoNamespace) {
		t.Errorf("loaded: %v", err)
	}
	if _, err := table.Read(t.Context()); !errors.Is(err, workers.ErrNoNamespace) {
		t.Errorf("read: %v", err)
	}
}

// TestNoAnswer gives the kernel no time.
func TestNoAnswer(t *testing.T) {
	h := newHost(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.table().Load(ctx, Rules{}); !errors.Is(err, workers.ErrNoAnswer) || !errors.Is(err, context.Canceled) {
		t.Errorf("loaded: %v", err)
	}
	// Somebody else of this process is still at it.
	busy <- struct{}{}
	ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := h.table().Read(ctx); !errors.Is(err, workers.ErrNoAnswer) {
		t.Errorf("read: %v", err)
	}
	<-busy
	h.load(Rules{})
}
