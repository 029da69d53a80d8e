//go:build soak

package fleet

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/s3server"
)

// TestSoakFleetRights: the doctor names a host that may write another's receipt, and none that may write its own only.
func TestSoakFleetRights(t *testing.T) {
	t.Parallel()
	own := s3server.User{KeyID: "AKIAHOSTONEHOSTONE", Secret: "host-one/secret+0123456789abcdef01234567", Role: "user"}
	m := newMembersOf(t, 2, members{poll: "200ms", s3: s3server.Start(t, own)})
	m.follow(t)
	const words = "this host may write the receipt of app-2"
	const unconditional, anybody = "without a condition", "anybody may read the fleet's private store"
	const noNote = "this host may not read or write the note of the orders"
	m.hosts[0].CLI(t, "set", "online").Want(t, 0) // there is a switch from now on
	got := m.hosts[0].CLI(t, "doctor", "--verbose").Stdout
	if !strings.Contains(got, words) || strings.Count(got, unconditional) != 2 || strings.Contains(got, anybody) || strings.Contains(got, noNote) {
		t.Errorf("with the owner's rights:\n%s", got)
	}
	m.s3.Allow(t, "receipts", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::receipts/*"}]}`)
	if got := m.hosts[0].CLI(t, "doctor").Want(t, 5); !strings.Contains(got.Stdout, anybody) {
		t.Errorf("with receipts that anybody may read:\n%s", got.Stdout)
	}
	allow := func(bucket string, actions, on string) string {
		return fmt.Sprintf(`{"Effect":"Allow","Principal":{"AWS":%q},"Action":[%s],"Resource":"arn:aws:s3:::%s%s"}`, own.KeyID, actions, bucket, on)
	}
	for bucket, statements := range map[string][]string{
		"receipts": {
			allow("receipts", `"s3:ListBucket"`, ""), allow("receipts", `"s3:GetObject"`, "/*"), allow("receipts", `"s3:PutObject"`, "/demo/hosts/app-1.json"),
		},
		"maintenance": {allow("maintenance", `"s3:ListBucket"`, ""), allow("maintenance", `"s3:GetObject","s3:PutObject"`, "/*")},
	} {
		m.s3.Allow(t, bucket, `{"Version":"2012-10-17","Statement":[`+strings.Join(statements, ",")+"]}")
	}
	rig.WriteSecret(t, filepath.Join(m.hosts[0].Nginx.Dir, ".aws", "credentials"), fmt.Sprintf(
		"[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", own.KeyID, own.Secret))
	if got := m.hosts[0].CLI(t, "doctor", "--verbose"); strings.Contains(got.Stdout, words) || strings.Contains(got.Stdout, anybody) || !strings.Contains(got.Stdout, noNote) || !strings.Contains(got.Stdout, "every host is where it was ordered to") {
		t.Errorf("with its own rights:\n%s%s", got.Stdout, got.Stderr)
	}
	// It does without the note of the orders: it reads the receipts before it opens.
	for _, mode := range []string{"offline", "online"} {
		if got := m.hosts[0].CLI(t, "set", mode).Want(t, 0); !strings.Contains(got.Stderr, "the histories of the hosts don't say who has ordered") {
			t.Errorf("set %s without the right to the note:\n%s", mode, got.Stderr)
		}
	}
}
