package barrier

import (
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// Behind the barrier a closing leaves an old worker in peace, with a visitor who has sent half of a request while the
// site was open. Once administrators are let in that worker could hand the rest on: it has to be gone, or the
// visitor.
func TestVisitorOfOldWorkerIsCutBeforeAdministratorsAreLetIn(t *testing.T) {
	t.Parallel()
	rig.NeedBarrier(t)
	s := rig.NewSingle(t)
	s.Install(t)
	s.StartGate(t)
	conn := s.Client().Dial(t)
	defer conn.Close()
	half := rig.Message{Method: "POST", Target: "/", Header: []string{"Content-Length: 10"}, Body: "12345"}
	conn.Send(t, half)
	conn.Taken(t)
	before := s.App.Count()
	s.CLI(t, "set", "offline", "--drain", "0").Want(t, 0)
	if !conn.Alive(t) {
		t.Fatal("the closing has cut the visitor already: there is nothing to see")
	}
	r := s.CLI(t, "set", "admin", "--drain", "0").Want(t, 0)
	if conn.Alive(t) {
		_, _ = conn.Write([]byte("67890"))
		t.Errorf("the visitor is still there, and gets %d\n%s", conn.Receive(t, half).Status, r.Stderr)
	}
	for _, got := range s.App.Since(before) {
		t.Errorf("the application got %s %s", got.Method, got.URI)
	}
}
