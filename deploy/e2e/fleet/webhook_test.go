package fleet

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// receiver is a webhook that notes what it is told, as "closed safe" for one.
type receiver struct {
	config string // the lines of config.toml

	mu   sync.Mutex
	told []string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var e struct {
			Type string
			Data struct{ Safe *bool }
		}
		err := json.NewDecoder(req.Body).Decode(&e)
		text := e.Type
		if err != nil {
			text = err.Error()
		} else if e.Data.Safe != nil && *e.Data.Safe {
			text += " safe"
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.told = append(r.told, text)
	}))
	t.Cleanup(srv.Close)
	secret := filepath.Join(rig.Dir(t), "webhook.secret")
	rig.WriteSecret(t, secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
	r.config = fmt.Sprintf("[[webhook]]\nurl = %q\nsecret_file = %q\n", srv.URL, secret)
	return r
}

// all is what it was told so far.
func (r *receiver) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.told)
}

// wants waits until it was told so much, and fails the test where that is something else. Events of two hosts have no
// order.
func (r *receiver) wants(t *testing.T, told ...string) {
	t.Helper()
	rig.WaitFor(t, fmt.Sprintf("the webhook to be told %q", told), func() bool { return len(r.all()) >= len(told) })
	if got := r.all(); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(told))) {
		t.Errorf("the webhook is told %q, want %q", got, told)
	}
}
