package workers

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// TestWorkersHaveATitle tells nginx's workers from what else runs its program: that has no command line while it is
// being started, and none once it has given its memory back.
func TestWorkersHaveATitle(t *testing.T) {
	s := Sockets{proc: t.TempDir()}
	const uids = "Name:\tnginx\nUid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\nGid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\n"
	for _, p := range []struct {
		pid, user   int
		state, line string
	}{
		{100, 0, "S", "nginx: master process /usr/sbin/nginx"},
		{101, 33, "S", "nginx: worker process"},
		{102, 33, "S", "nginx: worker process is shutting down"},
		{103, 0, "R", "nginx\x00-t\x00"},
		{104, 0, "R", ""}, // at the beginning, or the end, of such a one
		{105, 34, "Z", ""},
	} {
		dir := filepath.Join(s.proc, strconv.Itoa(p.pid))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		stat := fmt.Sprintf("%d (nginx) %s 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d", p.pid, p.state, p.pid)
		for name, text := range map[string]string{
			"comm": "nginx\n", "cmdline": p.line, "status": fmt.Sprintf(uids, p.user),
			"stat": stat + " 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, err := s.Workers(100)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b Worker) int { return a.PID - b.PID })
	want := []Worker{{Process{101, 101}, 33, 33}, {Process{102, 102}, 33, 33}}
	if !slices.Equal(got, want) {
		t.Errorf("workers are %+v, not %+v", got, want)
	}
	// What may still hold something from before a reload: one that exits has no title any more, and its sockets still.
	all, err := s.processes("nginx")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := slices.Sorted(maps.Keys(all)), []int{100, 101, 102, 104}; !slices.Equal(got, want) {
		t.Errorf("processes are %v, not %v", got, want)
	}
}
