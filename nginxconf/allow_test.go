package nginxconf

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseAllowed(t *testing.T) {
	for text, want := range map[string]string{
		"203.0.113.7": "203.0.113.7/32", "10.0.0.0/8": "10.0.0.0/8", "10.0.0.1/32": "10.0.0.1/32", "127.0.0.1": "127.0.0.1/32",
		"2001:db8::1": "2001:db8::1/128", "2001:DB8::/32": "2001:db8::/32", "::1": "::1/128", "128.0.0.0/2": "128.0.0.0/2",
	} {
		if got, err := ParseAllowed(text); err != nil || got.String() != want {
			t.Errorf("%s is %v, %v; want %s", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "is not an address", "localhost": "is not an address", "10.0.0": "is not an address", "10.0.0.256": "is not an address", "010.0.0.1": "is not an address",
		"10.0.0.0 /8": "is not an address", " 10.0.0.0/8": "is not an address", "*": "is not an address", "all": "is not an address", "unix:": "is not an address",
		"10.0.0.0/": "has no mask from 1 to 32", "10.0.0.0/33": "has no mask", "10.0.0.0/-1": "has no mask", "10.0.0.0/08": "has no mask", "2001:db8::/129": "from 1 to 128",
		"10.0.0.0/255.0.0.0": "has no mask", "10.0.0.0/8/8": "has no mask", "10.0.0.0/8;": "has no mask",
		"10.0.0.1/8": "write 10.0.0.0/8 for the network, 10.0.0.1 for the one address", "2001:db8::1/32": "write 2001:db8::/32",
		"0.0.0.0/0": "lets everybody in", "::/0": "lets everybody in", "::ffff:10.0.0.1": "write 10.0.0.1", "::ffff:10.0.0.0/104": "write 10.0.0.0",
		"fe80::1%eth0": "network card", "255.255.255.255": "whoever has no address", "128.0.0.0/1": "whoever has no address", "240.0.0.0/4": "whoever has no address",
	} {
		if got, err := ParseAllowed(text); err == nil || !strings.Contains(err.Error(), want) || got.IsValid() {
			t.Errorf("%q is %v, %v; want %q", text, got, err, want)
		}
	}
}

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, text := range texts {
		p, err := ParseAllowed(text)
		if err != nil {
			panic(err)
		}
		out = append(out, p)
	}
	return out
}

func TestCheckOverlaps(t *testing.T) {
	for _, c := range []struct {
		allowed []netip.Prefix
		want    string
	}{
		{prefixes("10.0.0.0/8", "11.0.0.0/8", "2001:db8::/32", "::1"), ""},
		{prefixes("10.1.0.0/16", "10.0.0.0/8"), "10.1.0.0/16 is in 10.0.0.0/8 already"},
		{prefixes("10.0.0.0/8", "10.1.2.3"), "10.1.2.3 is in 10.0.0.0/8 already"},
		{prefixes("10.1.2.3", "10.1.2.3"), "10.1.2.3 is in 10.1.2.3 already"},
		{prefixes("10.1.2.3", "10.0.0.0/8", "::1", "::/16"), "10.1.2.3 is in 10.0.0.0/8 already\n::1 is in ::/16 already"},
	} {
		got := ""
		if err := CheckOverlaps(c.allowed); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%v: %q, want %q", c.allowed, got, c.want)
		}
	}
}

// nginx gives an address what is said of the narrowest network that it is in. So each network names every site that
// lets it in, also those that let in a wider one.
func TestAllowedLines(t *testing.T) {
	got := allowedLines(map[string][]netip.Prefix{
		"north": prefixes("10.0.0.0/8", "203.0.113.7", "2001:db8::/32"), "demo": prefixes("10.1.0.0/16", "203.0.113.7"), "stack": prefixes("10.1.2.3"),
	})
	const want = `geo $conforma_allowed {
  default "";
  10.0.0.0/8 ",north,";
  10.1.0.0/16 ",demo,north,";
  10.1.2.3/32 ",demo,north,stack,";
  203.0.113.7/32 ",demo,north,";
  2001:db8::/32 ",north,";
}
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := allowedLines(nil); got != nobodyAllowed {
		t.Errorf("nobody: %q", got)
	}
}

// Whatever somebody writes, it is refused or is one network that can't say anything else to nginx.
func FuzzParseAllowed(f *testing.F) {
	for _, s := range []string{"203.0.113.7", "10.0.0.0/8", "2001:db8::/32", "::ffff:1.2.3.4", "0.0.0.0/0", "10.0.0.1/8", "a;}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseAllowed(text)
		if err != nil {
			return
		}
		if again, err := ParseAllowed(p.String()); err != nil || again != p || p.Bits() == 0 || p.Contains(unreadable) {
			t.Fatalf("%q is %v, read again %v, %v", text, p, again, err)
		}
		if strings.ContainsAny(p.String(), " ;{}\"'$\\\n#") {
			t.Fatalf("%q is %q", text, p)
		}
	})
}
