package rig

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// WorkerIDs are the process ids of nginx's workers.
func WorkerIDs(t testing.TB, h *Single) []string {
	t.Helper()
	pid := h.Nginx.PID(t)
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(data))
}

// Reloaded does what has nginx take up its configuration, and waits until nobody follows the old one.
func Reloaded(t testing.TB, s *Single, do func()) {
	t.Helper()
	was := WorkerIDs(t, s)
	do()
	WaitFor(t, "the old workers to go", func() bool {
		is := WorkerIDs(t, s)
		return len(is) > 0 && !slices.ContainsFunc(is, func(id string) bool { return slices.Contains(was, id) })
	})
}
