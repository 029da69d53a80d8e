//go:build linux

package barrier

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// Who is connected to an upstream is found by its address, or its port where it listens everywhere; an application
// that talks to itself isn't refused.
func TestClientsBySite(t *testing.T) {
	found := Found{
		Exempt: []Cgroup{{Path: "/system.slice/app.service"}},
		Sites: map[string]Place{
			"a": {Ends: []End{{Addr: netip.MustParseAddrPort("127.0.0.1:8000"), Local: true}}},
			"b": {Ends: []End{{Addr: netip.MustParseAddrPort("127.0.0.1:8001"), Local: true, Anywhere: true}}},
			"c": {Err: ErrUnixSocket},
		},
	}
	for _, tt := range []struct {
		to, cgroup string
		want       string // the site, "" for none
	}{
		{"127.0.0.1:8000", "/system.slice/php-fpm.service", "a"},
		{"127.0.0.1:8000", "", "a"},
		{"127.0.0.1:8000", "/system.slice/app.service", ""},
		{"127.0.0.1:8000", "/system.slice/app.service/worker", ""},
		{"127.0.0.1:8000", "/system.slice/app.service.d", "a"},
		{"127.0.0.3:8000", "", ""},
		{"127.0.0.3:8001", "", "b"},
		{"[::1]:8001", "", "b"},
		{"10.0.0.9:8001", "", ""},
		{"192.0.2.5:8001", "", "b"}, // this machine's own
		{"192.0.2.5:8000", "", ""},
		{"127.0.0.1:5432", "", ""},
	} {
		client := workers.Client{Process: workers.Process{PID: 7}, Name: "php-fpm", To: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:40000"), netip.MustParseAddrPort(tt.to)}}
		if strings.HasPrefix(tt.to, "192.0.2.5:") {
			client.Own = client.To[1:]
		}
		got := bySite([]workers.Client{client}, found, func(int) string { return tt.cgroup })
		for site := range found.Sites {
			if is := len(got[site]) == 1; is != (site == tt.want) {
				t.Errorf("to %s from %q: of site %s is %v, want %q", tt.to, tt.cgroup, site, is, tt.want)
			}
		}
	}
}
