//go:build soak

package publishing

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/s3server"
	"github.com/msupply-foundation/conforma-status/status"
)

// writer is a machine that may write to the store and is nobody's host.
type writer struct {
	t    *testing.T
	dir  string
	env  []string
	mine map[string]status.WindowState // what its own windows are to be
	ends map[string]time.Time          // when they are to end
	said []string                      // every message that it has published
}

// run runs the program, and reports whether it did what it was asked for.
func (w *writer) run(args ...string) (stdout []byte, done bool) {
	var out, errs bytes.Buffer
	cmd := exec.Command(rig.Binary(w.t), append(args, "--json")...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = w.env, w.dir, &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Error(err)
		return nil, false
	}
	switch code := cmd.ProcessState.ExitCode(); {
	case code == 0:
		return out.Bytes(), true
	case code == 3, code == 1 && strings.Contains(errs.String(), "somebody else changes it at the same time"):
		return out.Bytes(), code == 3
	default:
		w.t.Errorf("%s: exit %d: %s", strings.Join(args, " "), code, errs.String())
		return nil, false
	}
}

// TestSoakScheduleByTwoMachines has two machines schedule, move, cancel and extend at the same time: what either has
// done is there in the end, and no sequence number ever gets less.
func TestSoakScheduleByTwoMachines(t *testing.T) {
	t.Parallel()
	chance := rig.NewChance(t)
	srv := s3server.Start(t)
	srv.CreateBucket(t, bucket)
	closed := someDocument()
	(&bucketHost{s3: srv}).put(t, "demo/status.json", closed.Marshal())
	get := func(name string) []byte {
		resp, err := http.Get(srv.Endpoint + "/" + bucket + "/demo/" + name)
		if err != nil || resp.StatusCode != http.StatusOK {
			return nil
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil
		}
		return data
	}
	first := time.Now().Add(24 * time.Hour).Truncate(time.Hour)
	var writers []*writer
	for range 2 {
		w := &writer{t: t, dir: rig.Dir(t), mine: map[string]status.WindowState{}, ends: map[string]time.Time{}}
		rig.WriteFile(t, filepath.Join(w.dir, "config.toml"), fmt.Sprintf(`store = "s3://%s"
page_url = "%s/%s"
state_dir = "%s/state"
[s3]
region = %q
endpoint = %q
path_style = true
[nginx]
conf_dir = "%s/conf"
[[site]]
name = "demo"
app_url = "https://demo.example.org:50000"
upstreams = ["127.0.0.1:8000"]
`, bucket, srv.Endpoint, bucket, w.dir, srv.Region, srv.Endpoint, w.dir))
		w.env = []string{"CONFORMA_STATUS_CONFIG=" + filepath.Join(w.dir, "config.toml"), "HOME=" + w.dir, "PATH=" + os.Getenv("PATH"), "TZ=Pacific/Auckland"}
		for name, value := range srv.Env() {
			w.env = append(w.env, name+"="+value)
		}
		writers = append(writers, w)
	}

	stop, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		grows(t, get, stop)
	}()
	var all sync.WaitGroup
	for i, w := range writers {
		all.Go(func() {
			for step := range 14 {
				w.step(chance, first.Add(time.Duration(2*step+i)*2*time.Hour), fmt.Sprintf("machine %d, step %d", i, step))
			}
		})
	}
	all.Wait()
	close(stop)
	<-watched

	schedule, err := status.ParseSchedule(get("schedule.json"))
	rig.Check(t, err)
	windows := 0
	for _, w := range writers {
		for id, state := range w.mine {
			windows++
			got, ok := schedule.Window(id)
			if !ok || got.State != state || !got.Until.Equal(w.ends[id]) {
				t.Errorf("window %s is %+v, want it %s until %v", id, got, state, w.ends[id])
			}
		}
	}
	if len(schedule.Windows) != windows || windows < 4 {
		t.Errorf("there are %d windows, %d were scheduled", len(schedule.Windows), windows)
	}
	d, err := status.Parse(get("status.json"))
	rig.Check(t, err)
	said := append(writers[0].said, writers[1].said...)
	if d.Mode != closed.Mode || d.Message == nil || !strings.Contains(strings.Join(said, "\n")+"\n", *d.Message+"\n") {
		t.Errorf("published is %+v", d)
	}
	if next := schedule.Next(); (next == nil) != (d.Next == nil) || next != nil && !next.From.Equal(d.Next.From) {
		t.Errorf("status.json announces %+v, next is %+v", d.Next, next)
	}
}

// step does one thing by chance.
func (w *writer) step(chance *rig.Chance, from time.Time, text string) {
	id := ""
	for one, state := range w.mine {
		if state == status.WindowScheduled {
			id = one
		}
	}
	switch what := chance.IntN(4); {
	case what == 0:
		if _, done := w.run("extend", strconv.Itoa(1+chance.IntN(5))+"h", "--message", text); done {
			w.said = append(w.said, text)
		}
	case what == 1 && id != "":
		length := time.Duration(10+chance.IntN(40)) * time.Minute
		if out, done := w.run("schedule", "move", id, "--for", length.String()); done {
			w.ends[id] = w.windowOf(out).Until
		}
	case what == 2 && id != "":
		if _, done := w.run("schedule", "cancel", id); done {
			w.mine[id] = status.WindowCancelled
		}
	default:
		if out, done := w.run("schedule", "offline", "--from", from.Format(time.RFC3339), "--for", "1h", "--message", text); done {
			one := w.windowOf(out)
			w.mine[one.ID], w.ends[one.ID] = status.WindowScheduled, one.Until
		}
	}
}

// windowOf is the window in what schedule printed.
func (w *writer) windowOf(out []byte) status.ScheduledWindow {
	var printed struct {
		Sites []struct{ Windows []status.ScheduledWindow }
	}
	if err := json.Unmarshal(out, &printed); err != nil || len(printed.Sites) != 1 || len(printed.Sites[0].Windows) != 1 {
		w.t.Errorf("it printed %s (%v)", out, err)
		return status.ScheduledWindow{}
	}
	return printed.Sites[0].Windows[0]
}

// grows watches both documents until it is stopped: no window is lost, and no sequence number gets less.
func grows(t *testing.T, get func(name string) []byte, stop <-chan struct{}) {
	last, seq := map[string]uint64{}, uint64(0)
	for {
		if data := get("schedule.json"); data != nil {
			schedule, err := status.ParseSchedule(data)
			if err != nil {
				t.Error(err)
			}
			for id, was := range last {
				if now, ok := schedule.Window(id); !ok || now.Sequence < was {
					t.Errorf("window %s had sequence %d, and is %+v now", id, was, now)
				}
			}
			for _, w := range schedule.Windows {
				last[w.ID] = w.Sequence
			}
		}
		if data := get("status.json"); data != nil {
			d, err := status.Parse(data)
			if err != nil || d.Seq < seq {
				t.Errorf("seq was %d and is %d now, %v", seq, d.Seq, err)
			}
			seq = d.Seq
		}
		select {
		case <-stop:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}
