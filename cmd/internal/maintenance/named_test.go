package maintenance

import (
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers/barrier"
	"github.com/msupply-foundation/conforma-status/status"
)

// Programs that are refused with nginx are named once each, where there is a barrier and the site closes.
func TestProgramsThatAreRefusedToo(t *testing.T) {
	const php, curl, root = "process 7 (php-fpm, one of 2)", "process 9 (curl, one of 1)", "run as root"
	clients := []workers.Client{{Process: workers.Process{PID: 7}, Name: "php-fpm"}, {Process: workers.Process{PID: 8}, Name: "php-fpm"}, {Process: workers.Process{PID: 9}, Name: "curl"}}
	for name, tt := range map[string]struct {
		mode   status.Mode
		dry    bool
		change func(*fakeKernel)
		want   []string
	}{
		"offline":          {status.Offline, false, func(k *fakeKernel) { k.clients = clients }, []string{php, curl}},
		"a dry run":        {status.Offline, true, func(k *fakeKernel) { k.clients = clients }, []string{php, curl}},
		"workers of root":  {status.Offline, false, func(k *fakeKernel) { k.users = []barrier.User{{}} }, []string{root}},
		"admin":            {status.Admin, false, func(k *fakeKernel) { k.clients = clients }, nil},
		"there is none":    {status.Offline, true, func(k *fakeKernel) { k.clients, k.loadErr = clients, barrier.ErrNotAllowed }, nil},
		"nobody but nginx": {status.Offline, false, func(*fakeKernel) {}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tt.change(w.withKernel())
			r := w.set(t, tt.mode, func(req *Request) { req.DryRun = tt.dry })
			said := strings.Join(r.Warnings, "\n")
			for _, text := range []string{php, curl, root} {
				want := 0
				for _, of := range tt.want {
					want += strings.Count(of, text)
				}
				if strings.Count(said, text) != want {
					t.Errorf("%q is to be said %d times: %s", text, want, said)
				}
			}
		})
	}
}
