//go:build soak

package fleet

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/s3server"
	"github.com/msupply-foundation/conforma-status/status"
)

// minute is for how long the store is away.
const minute = time.Minute

// TestSoakFleetWithoutItsStoreForAMinute: the store is away while a closing, or an opening, is on its way. Hosts stay
// as they are, and nothing opens. set offline closes the host on which it is given.
func TestSoakFleetWithoutItsStoreForAMinute(t *testing.T) {
	t.Parallel()
	t.Run("during a closing", func(t *testing.T) {
		t.Parallel()
		m := newMembersBehind(t)
		m.hosts[0].CLI(t, "set", "online").Want(t, 0) // the first order, which all have followed
		m.agents[2].Kill(t)
		order := m.hosts[0].Start(t, rig.Call{Args: []string{"set", "offline", "--wait", "10m"}})
		m.waitUntil(t, 503, 503, 200)

		m.away(t, func() {
			m.agents[2] = m.hosts[2].StartFollow(t)
			m.staysSo(t, minute/2, status.Offline, 503, 503, 200)
			m.closeAlone(t, 2)
			m.staysSo(t, minute/2, status.Offline, 503, 503, 503)
			if order.Ended() {
				t.Errorf("the order has ended while the store was away:\n%s", order.Said(t).Stdout)
			}
		})
		if got := order.Wait(t).Want(t, 0); !strings.Contains(got.Stdout, "3 of 3 hosts") {
			t.Errorf("the order ends with\n%s", got.Stdout)
		}
		if d, err := published(m.s3); err != nil || d.Order != 2 || d.Mode != status.Offline {
			t.Errorf("what was closed alone is older than order 2, and visitors are told %s by order %d, %v", d.Mode, d.Order, err)
		}
		m.hosts[2].CLI(t, "set", "online").Want(t, 0)
		m.waitUntil(t, 200, 200, 200)
	})
	t.Run("during an opening", func(t *testing.T) {
		t.Parallel()
		m := newMembersBehind(t)
		m.hosts[0].CLI(t, "set", "offline").Want(t, 0)
		m.agents[2].Kill(t)
		order := m.hosts[0].Start(t, rig.Call{Args: []string{"set", "online", "--wait", "10m"}})
		m.waitUntil(t, 200, 200, 503)

		m.away(t, func() {
			m.agents[2] = m.hosts[2].StartFollow(t)
			m.staysSo(t, minute/2, status.Offline, 200, 200, 503)
			m.closeAlone(t, 1)
			m.staysSo(t, minute/2, status.Offline, 200, 503, 503)
			m.agents[2].Kill(t) // it would open by order 2 where it is back before app-2 is
		})
		m.waitUntil(t, 503, 503, 503) // by an order: nobody has given a newer one
		if got := order.Wait(t).Want(t, 4); !strings.Contains(got.Stdout+got.Stderr, "somebody else has given an order meanwhile") {
			t.Errorf("the order that another has taken the place of ends with\n%s%s", got.Stdout, got.Stderr)
		}
		rig.WaitFor(t, "the closing to be order 3", func() bool {
			d, err := published(m.s3)
			return err == nil && d.Order == 3 && d.Wanted == status.Offline && d.Mode == status.Offline
		})
		m.agents[2] = m.hosts[2].StartFollow(t)
		m.hosts[1].CLI(t, "set", "online").Want(t, 0)
		m.waitUntil(t, 200, 200, 200)
	})
}

// membersBehind are three hosts whose S3 server is behind a gateway.
type membersBehind struct {
	*members
	gateway *gateway
}

func newMembersBehind(t *testing.T) *membersBehind {
	t.Helper()
	s3 := s3server.Start(t)
	g := newGateway(t, s3.Endpoint, rig.NewChance(t))
	srv := httptest.NewServer(g)
	t.Cleanup(srv.Close)
	m := newMembersOf(t, 3, members{poll: "500ms", s3: s3, by: srv.URL})
	m.follow(t)
	return &membersBehind{m, g}
}

// away has the store be away while something is done.
func (m *membersBehind) away(t *testing.T, while func()) {
	t.Helper()
	m.gateway.set(away)
	while()
	m.gateway.set(fair)
}

// answers are what the hosts answer to a navigation.
func (m *membersBehind) answers(t *testing.T) (got []int) {
	t.Helper()
	for i := range m.hosts {
		got = append(got, m.status(t, i))
	}
	return got
}

func (m *membersBehind) waitUntil(t *testing.T, want ...int) {
	t.Helper()
	m.wait(t, "the hosts to be where they were ordered to", func() bool { return slices.Equal(m.answers(t), want) })
}

// staysSo sees for a while that each host goes on answering that, and that visitors are told that mode.
func (m *membersBehind) staysSo(t *testing.T, during time.Duration, mode status.Mode, want ...int) {
	t.Helper()
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if got := m.answers(t); !slices.Equal(got, want) {
			t.Fatalf("with the store away the hosts answer %v, want %v", got, want)
		}
		if d, err := published(m.s3); err != nil || d.Mode != mode {
			t.Fatalf("with the store away visitors are told %s, %v", d.Mode, err)
		}
	}
}

// closeAlone gives set offline on a host that reaches no store: it is shut, and opens for nobody before the store is
// back.
func (m *membersBehind) closeAlone(t *testing.T, i int) {
	t.Helper()
	if got := m.hosts[i].CLI(t, "set", "offline").Want(t, 4); !strings.Contains(got.Stderr, "nobody else is told") {
		t.Errorf("set offline with the store away:\n%s%s", got.Stdout, got.Stderr)
	}
	m.hosts[i].CLI(t, "set", "online").Want(t, 1)
}
