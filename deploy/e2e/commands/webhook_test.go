package commands

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

const webhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// receivers are two webhooks, /steady and /moody, on one server, which verifies what they get.
type receivers struct {
	*httptest.Server
	sync.Mutex
	mood  []int               // what moody answers next, 0 for nothing until released; then 204
	took  map[string][]string // the types of events that each has taken
	ids   map[string][]string // of everything that each was sent
	body  []byte              // the first
	wrong []string

	released chan struct{}
}

func newReceivers(t *testing.T) *receivers {
	t.Helper()
	r := &receivers{took: map[string][]string{}, ids: map[string][]string{}, released: make(chan struct{})}
	verifier, err := standardwebhooks.NewWebhook(webhookSecret)
	rig.Check(t, err)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		var e struct{ Type string }
		for _, err := range []error{err, verifier.Verify(body, req.Header), json.Unmarshal(body, &e)} {
			if err != nil {
				r.locked(func() { r.wrong = append(r.wrong, fmt.Sprintf("%v: %v %s", err, req.Header, body)) })
			}
		}
		code := http.StatusNoContent
		r.locked(func() {
			r.ids[req.URL.Path] = append(r.ids[req.URL.Path], req.Header.Get("webhook-id"))
			if r.body == nil {
				r.body = body
			}
			if req.URL.Path == "/moody" && len(r.mood) > 0 {
				code, r.mood = r.mood[0], r.mood[1:]
			}
			if code == http.StatusNoContent {
				r.took[req.URL.Path] = append(r.took[req.URL.Path], e.Type)
			}
		})
		if code == 0 {
			select {
			case <-r.released:
			case <-req.Context().Done():
			}
			return
		}
		w.Header().Set("Location", r.URL+"/steady")
		w.WriteHeader(code)
	}))
	t.Cleanup(r.Close)
	t.Cleanup(func() { close(r.released) })
	return r
}

func (r *receivers) locked(do func()) {
	r.Lock()
	defer r.Unlock()
	do()
}

func (r *receivers) feels(mood ...int) { r.locked(func() { r.mood = mood }) }

func (r *receivers) sent(path string) (ids []string) {
	r.locked(func() { ids = slices.Clone(r.ids[path]) })
	return ids
}

func (r *receivers) taken(path string) (types string) {
	r.locked(func() { types = strings.Join(r.took[path], " ") })
	return types
}

// await waits until both have taken just these events.
func (r *receivers) await(t *testing.T, types string) {
	t.Helper()
	rig.WaitFor(t, "the webhooks to take "+types, func() bool { return r.taken("/steady") == types && r.taken("/moody") == types })
}

// delivering are the processes that deliver the events of the host.
func delivering(t *testing.T, h *rig.Host) (pids []int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	rig.Check(t, err)
	for _, file := range files {
		line, _ := os.ReadFile(file) // it may be gone
		if words := strings.Split(string(line), "\x00"); slices.Contains(words, "deliver") && slices.Contains(words, h.Config) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			rig.Check(t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}

// Each change reaches each webhook once it can: one that hangs, whose delivery is killed, and that then answers 500;
// one that redirects; one that refuses. Nobody waits for them, and nothing private is in it.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	h, r := rig.NewSingle(t), newReceivers(t)
	secret := filepath.Join(h.Nginx.Dir, "webhook.secret")
	rig.WriteFile(t, secret, webhookSecret+"\n")
	rig.Check(t, os.Chmod(secret, 0o600))
	hook := func(url string) string {
		return fmt.Sprintf("[[webhook]]\nurl = %q\nsecret_file = %q\n", url, secret)
	}
	h.Configure(t, rig.Settings{Top: hook(r.URL+"/steady") + hook(r.URL+"/moody")})
	h.Install(t)

	r.feels(0, 500)
	h.CLI(t, "set", "offline", "--eta", "30m", "--message", "Back soon.", "--reason", "disk swap").Want(t, 0)
	rig.WaitFor(t, "both to be told", func() bool { return r.taken("/steady") == "closed" && len(r.sent("/moody")) == 1 })
	for _, pid := range delivering(t, h.Host) {
		rig.Check(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	h.CLI(t, "reconcile").Want(t, 0)
	r.await(t, "closed")
	if ids := r.sent("/moody"); len(ids) != 3 || ids[0] != ids[1] || ids[1] != ids[2] {
		t.Errorf("the event has the names %v", ids)
	}
	var e struct {
		Type      string
		Timestamp string
		Data      map[string]any
	}
	rig.Check(t, json.Unmarshal(r.body, &e))
	if d := e.Data; e.Type != "closed" || e.Timestamp == "" || d["site"] != "demo" || d["mode"] != "offline" || d["previous"] != "online" ||
		d["safe"] != true || d["message"] != "Back soon." || d["expectedUntil"] == nil || d["pageUrl"] != h.PageURL+"/demo/" {
		t.Errorf("it says %s", r.body)
	}
	if private := string(r.body); strings.Contains(private, "disk swap") || strings.Contains(private, "root") {
		t.Errorf("it says too much: %s", private)
	}

	r.feels(302)
	h.CLI(t, "extend", "1h").Want(t, 0)
	r.await(t, "closed extended")
	h.CLI(t, "set", "admin").Want(t, 0)
	r.await(t, "closed extended admin")
	h.CLI(t, "set", "online").Want(t, 0)
	r.await(t, "closed extended admin opened")
	h.CLI(t, "set", "online").Want(t, 0) // nothing to tell
	h.CLI(t, "run", "--mode", "offline", "--", "true").Want(t, 0)
	r.await(t, "closed extended admin opened closed opened")

	h.Configure(t, rig.Settings{Top: hook(r.URL+"/steady") + hook("http://"+rig.Loopback(rig.Port(t))+"/a-secret-path")})
	got := h.CLI(t, "webhook", "test").Want(t, 1)
	if !strings.Contains(got.Stdout, "line 4    taken in") || !strings.Contains(got.Stdout, "connection refused") || strings.Contains(got.Stdout+got.Stderr, "a-secret-path") {
		t.Errorf("webhook test:\n%s%s", got.Stdout, got.Stderr)
	}
	rig.Check(t, os.Chmod(secret, 0o644))
	got = h.CLI(t, "webhook", "test", "--json").Want(t, 2)
	if !strings.Contains(got.Stdout, "open to every user") || !strings.Contains(got.Stderr, "chmod 600") {
		t.Errorf("webhook test:\n%s%s", got.Stdout, got.Stderr)
	}

	// Where an event can't be kept, the change is made all the same.
	rig.Check(t, os.RemoveAll(filepath.Join(h.State, "webhooks")))
	rig.WriteFile(t, filepath.Join(h.State, "webhooks"), "")
	rig.Says(t, h.CLI(t, "set", "offline").Want(t, 0), "warning: ", "keep an event for the webhook "+r.URL+"/…")
	if wants := "closed extended admin opened closed opened test"; r.taken("/steady") != wants || len(r.wrong) > 0 {
		t.Errorf("it took %s, want %s; %v", r.taken("/steady"), wants, r.wrong)
	}
}
