//go:build linux

package barrier

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
)

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "0x7f000001", "2130706433", "0177.1", "1.2.3.4.5", "", ".", "0x", "08", "4294967296", "1.16777216", "+1", "1_0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, is := number(s)
		if is && (!a.Is4() || strings.Trim(s, "0123456789abcdefABCDEFxX.") != "") {
			t.Errorf("%q is %v", s, a)
		}
		plain, err := netip.ParseAddr(s)
		if err == nil && plain.Is4() && (!is || plain != a) {
			t.Errorf("%q is %v, not %v", s, a, plain)
		}
		if is {
			if again, is := number(fmt.Sprintf("%#x", a.AsSlice())); !is || again != a {
				t.Errorf("%q is %v, in one number %v", s, a, again)
			}
		}
	})
}

func FuzzUserMap(f *testing.F) {
	f.Add("         0     100000      65536\n", uint32(100033))
	f.Add("0 1000 1\n1 100000 65536\n", uint32(1000))
	f.Add("0 0 4294967295\n", uint32(0))
	f.Add("4294967295 0 4294967295", uint32(1))
	f.Add("0 1000", uint32(1000))
	f.Add("a b c", uint32(1000))
	f.Add("", uint32(0))
	f.Fuzz(func(t *testing.T, text string, outside uint32) {
		id, err := inMap(strings.NewReader(text), outside)
		if err != nil && id != 0 || id == math.MaxUint32 {
			t.Errorf("%d is %d: %v", outside, id, err)
		}
	})
}

func FuzzProxied(f *testing.F) {
	f.Add("docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8000 -container-ip 172.18.0.2 -container-port 3000")
	f.Add("docker-proxy -proto tcp -host-ip -host-port 8000")
	f.Fuzz(func(t *testing.T, line string) {
		if p, is := proxied(strings.Split(line, " ")); is && (!p.to.IsValid() || p.to.Port() == 0 || p.at.Port() == 0) {
			t.Errorf("%q leads from %v to %v", line, p.at, p.to)
		}
	})
}

func FuzzRoute(f *testing.F) {
	f.Add([]byte("\x02\x20\x00\x00\xff\x00\x00\x02\x00\x00\x00\x00\x08\x00\x04\x00\x01\x00\x00\x00"))
	f.Add([]byte("\x02"))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _, _ = readRoute(b) })
}

func FuzzContainerNames(f *testing.F) {
	f.Add("127.0.0.1 localhost app # x\n", "nameserver 127.0.0.11\nsearch a b\noptions ndots:0\n", "app")
	f.Add("::1", "nameserver", "")
	f.Fuzz(func(t *testing.T, hosts, conf, host string) {
		for _, a := range inHosts(hosts, host) {
			if !a.IsValid() {
				t.Errorf("%q is %v", host, a)
			}
		}
		c := readResolvConf(conf)
		if names := c.names(host); len(c.servers) == 0 || len(names) == 0 || !strings.HasSuffix(names[0], ".") {
			t.Errorf("%q is asked for as %q from %v", host, names, c.servers)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("\x00\x01\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01\x01a\x00\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		addrs, err := readAnswer(b)
		for _, a := range addrs {
			if err != nil || !a.IsValid() {
				t.Errorf("%v: %v", a, err)
			}
		}
	})
}
