package state

import (
	"net/netip"
	"testing"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers/barrier"
)

func TestHasTried(t *testing.T) {
	at := func(addr string) []barrier.End {
		return []barrier.End{{Addr: netip.MustParseAddrPort(addr), Local: true}}
	}
	closes := barrier.Site{Name: "demo", Nginx: barrier.Refuse, Outside: barrier.Refuse, Ends: at("127.0.0.1:8000")}
	open := barrier.Site{Name: "other", Ends: at("127.0.0.1:8001")}
	tried := barrier.Rules{Users: []uint32{33}, Sites: []barrier.Site{closes, open}}
	d := Dir(t.TempDir())
	if d.HasTried(tried) {
		t.Error("tried before anything was noted")
	}
	if err := d.NoteTried(tried); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*barrier.Rules)
		want   bool
	}{
		{"the same", func(*barrier.Rules) {}, true},
		{"an open site is elsewhere", func(r *barrier.Rules) { r.Sites[1].Ends = at("127.0.0.1:8002") }, true},
		{"an open site is gone", func(r *barrier.Rules) { r.Sites = r.Sites[:1] }, true},
		{"the closed site is elsewhere", func(r *barrier.Rules) { r.Sites[0].Ends = at("127.0.0.1:8002") }, false},
		{"the closed site is counted only", func(r *barrier.Rules) { r.Sites[0].Nginx = barrier.Count }, false},
		{"another closes with it", func(r *barrier.Rules) { r.Sites[1].Outside = barrier.Refuse }, false},
		{"nginx has another user", func(r *barrier.Rules) { r.Users[0] = 101 }, false},
	} {
		now := barrier.Rules{Users: []uint32{33}, Sites: []barrier.Site{closes, open}}
		c.change(&now)
		if got := d.HasTried(now); got != c.want {
			t.Errorf("%s: tried %v, want %v", c.name, got, c.want)
		}
	}
}
