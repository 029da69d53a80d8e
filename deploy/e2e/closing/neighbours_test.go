package closing

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestNeighboursNeverNotice takes one site through all its modes while clients of the five other servers go on asking.
func TestNeighboursNeverNotice(t *testing.T) {
	t.Parallel()
	h := rig.NewHost(t)
	neighbours := []string{"north", "grafana", "stack", "training", "archive"}

	// As it was before conforma-status came.
	h.Nginx.Start(t)
	type question struct {
		block, name string
		message     rig.Message
	}
	var questions []question
	before := map[string]rig.Response{}
	for _, block := range neighbours {
		origin := h.Block(t, block).Origin()
		for name, m := range map[string]rig.Message{
			"navigation": rig.Navigation("/application/new?x=1"),
			"asset":      rig.Fetch("/assets/app.js", origin),
			"GraphQL":    rig.GraphQL(origin),
			"upload":     rig.Upload(origin, 100_000),
			"preflight":  rig.Preflight("/server/graphql", "https://elsewhere.example.test"),
			"ACME":       rig.ACME(),
		} {
			q := question{block, name, m}
			questions = append(questions, q)
			before[block+" "+name] = h.Client(t, block).Do(t, m)
		}
	}
	ask := func(when string) {
		t.Helper()
		for _, q := range questions {
			got := h.Client(t, q.block).Do(t, q.message)
			if now, then := got.Stable(), before[q.block+" "+q.name].Stable(); now != then {
				t.Fatalf("%s: %s answers %s\n%s\nand before\n%s", when, q.block, q.name, now, then)
			}
		}
	}
	h.Nginx.Stop(t)

	h.Install(t)
	h.CLI(t, "publish").Want(t, 0)
	talk, err := h.Client(t, "north").WebSocket(t, "/websocket/")
	if err != nil {
		t.Fatal(err)
	}
	defer talk.CloseNow()
	kept := filesOfOthers(t, h)
	ask("installed")

	for _, mode := range []string{"offline", "admin", "online"} {
		done := make(chan rig.Result, 1)
		go func() { done <- h.CLI(t, "set", mode, "--site", "demo") }()
		for rounds, over := 0, false; !over || rounds == 0; rounds++ {
			ask("while demo goes " + mode)
			select {
			case r := <-done:
				r.Want(t, 0)
				over = true
			default:
			}
		}
		ask("with demo " + mode)
		echo(t, talk, mode)
		for path, was := range kept {
			now, err := os.Stat(path)
			if err != nil {
				t.Fatalf("with demo %s: %v", mode, err)
			}
			if !os.SameFile(was, now) || !was.ModTime().Equal(now.ModTime()) || was.Size() != now.Size() {
				t.Errorf("with demo %s: %s is not the file that it was", mode, path)
			}
		}
	}
	for _, site := range []string{"north", "stack", "training", "archive"} {
		h.CLI(t, "get", "--site", site).Want(t, 0)
	}
}

// echo has the application send a message back.
func echo(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		t.Fatalf("a WebSocket that was open all along: %v", err)
	}
	if _, data, err := conn.Read(ctx); err != nil || string(data) != text {
		t.Fatalf("a WebSocket that was open all along answers %q, %v", data, err)
	}
}

// filesOfOthers returns every file of the operator and of the sites other than demo.
func filesOfOthers(t *testing.T, h *rig.Host) map[string]os.FileInfo {
	t.Helper()
	kept := map[string]os.FileInfo{}
	for _, root := range []string{
		h.Nginx.Conf, filepath.Join(h.Nginx.Dir, "sites-enabled"), filepath.Join(h.Nginx.Dir, "letsencrypt"),
		filepath.Join(h.Nginx.Dir, "env_files"), h.Config, h.ConfDir, h.Store,
	} {
		err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || strings.Contains(path, "/demo") {
				return err
			}
			kept[path], err = d.Info()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{h.SiteFile("north"), h.SiteFile("archive"), filepath.Join(h.Store, "north", "status.json")} {
		if kept[path] == nil {
			t.Fatalf("there is no %s to be kept", path)
		}
	}
	return kept
}
