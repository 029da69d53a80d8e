package fleet

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/s3server"
)

// members are hosts that follow one switch: each its own nginx, application and state, and one public and one private
// store.
type members struct {
	poll string           // default: "100ms"
	top  string           // further lines of each config.toml, with tables of their own
	s3   *s3server.Server // has both stores; nil where they are directories
	by   string           // the address by which the hosts reach s3, "" for its own

	hosts   []*rig.Single
	agents  []*rig.Follower
	private string // the directory of the private store
	key     string
}

const key = "the-key-of-the-fleet-is-long-enough-for-hs256"

// newMembers puts up the hosts app-1, app-2 and so on, whose agents don't run yet.
func newMembers(t testing.TB, n int) *members {
	t.Helper()
	return newMembersOf(t, n, members{poll: "100ms"})
}

// newMembersOf is newMembers for others than the usual.
func newMembersOf(t testing.TB, n int, m members) *members {
	t.Helper()
	m.private, m.key = filepath.Join(rig.Dir(t), "receipts"), filepath.Join(rig.Dir(t), "fleet.key")
	if m.s3 != nil {
		m.s3.CreateBucket(t, "maintenance")
		m.s3.CreatePrivateBucket(t, "receipts")
	}
	if err := os.Mkdir(m.private, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.key, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		m.hosts = append(m.hosts, m.newHost(t, fmt.Sprintf("app-%d", i+1)))
	}
	return &m
}

func (m *members) newHost(t testing.TB, name string) *rig.Single {
	t.Helper()
	h := rig.NewSingle(t)
	if len(m.hosts) > 0 {
		first := m.hosts[0]
		h.URL, h.Store, h.PageURL = first.URL, first.Store, first.PageURL
	}
	c, private := rig.Settings{}, "dir:"+m.private
	if m.s3 != nil {
		c.Store, private = "s3://maintenance", "s3://receipts"
		c.S3 = fmt.Sprintf("region = %q\nendpoint = %q\npath_style = true\n", m.s3.Region, cmp.Or(m.by, m.s3.Endpoint))
		rig.WriteSecret(t, filepath.Join(h.Nginx.Dir, ".aws", "credentials"), fmt.Sprintf(
			"[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", m.s3.KeyID, m.s3.Secret))
	}
	c.Top = fmt.Sprintf("[fleet]\nhost = %q\nstore = %q\npoll = %q\nkey_file = %q\n%s", name, private, m.poll, m.key, m.top)
	h.Configure(t, c)
	h.Install(t)
	return h
}

// follow starts the agents, and waits until each has a receipt.
func (m *members) follow(t testing.TB) {
	t.Helper()
	for i, h := range m.hosts {
		m.agents = append(m.agents, h.StartFollow(t))
		m.wait(t, fmt.Sprintf("app-%d to be a member", i+1), func() bool {
			if m.s3 != nil {
				return strings.Contains(h.CLI(t, "fleet", "list").Stdout, fmt.Sprintf("app-%d ", i+1))
			}
			return strings.Contains(m.receipt(i), `"outcome":"open"`)
		})
	}
}

// wait waits for something, and shows what the agents wrote where it doesn't happen.
func (m *members) wait(t testing.TB, what string, done func() bool) {
	t.Helper()
	tried := 0
	rig.WaitFor(t, what, func() bool {
		is := done()
		if tried++; !is && tried%2000 == 0 {
			for i, a := range m.agents {
				t.Logf("app-%d:\n%s", i+1, a.Output(t))
			}
		}
		return is
	})
}

// receipt is that of a host, "" for none.
func (m *members) receipt(i int) string {
	data, _ := os.ReadFile(filepath.Join(m.private, rig.SingleSite, "hosts", fmt.Sprintf("app-%d.json", i+1)))
	return string(data)
}

// status is what a host answers to a navigation.
func (m *members) status(t testing.TB, i int) int {
	t.Helper()
	return m.hosts[i].Client().Get(t, "/").Status
}
