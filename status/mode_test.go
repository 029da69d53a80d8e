package status

import "testing"

func TestParseMode(t *testing.T) {
	for s, want := range map[string]Mode{"online": Online, "admin": Admin, "offline": Offline} {
		if m, err := ParseMode(s); err != nil || m != want {
			t.Errorf("ParseMode(%q) = %q, %v; want %q", s, m, err, want)
		}
	}
	for _, s := range []string{"", "Online", "OFFLINE", " offline", "offline\n", "off", "closed", "admin,offline"} {
		if m, err := ParseMode(s); err == nil || m != "" {
			t.Errorf("ParseMode(%q) = %q, %v; want an error", s, m, err)
		}
	}
}

// Whatever compares against a mode that nobody knows errs towards closed.
func TestStricterThan(t *testing.T) {
	const unknown = Mode("halfway")
	for _, c := range []struct {
		m, other Mode
		want     bool
	}{
		{Online, Online, false}, {Online, Admin, false}, {Online, Offline, false}, {Online, unknown, false},
		{Admin, Online, true}, {Admin, Admin, false}, {Admin, Offline, false}, {Admin, unknown, false},
		{Offline, Online, true}, {Offline, Admin, true}, {Offline, Offline, false}, {Offline, unknown, false},
		{unknown, Online, true}, {unknown, Admin, true}, {unknown, Offline, true}, {unknown, unknown, false},
		{"", Offline, true},
	} {
		if got := c.m.StricterThan(c.other); got != c.want {
			t.Errorf("%q stricter than %q: %v, want %v", c.m, c.other, got, c.want)
		}
	}
}

func TestClosed(t *testing.T) {
	for m, want := range map[Mode]bool{Online: false, Admin: true, Offline: true, "halfway": true, "": true} {
		if m.Closed() != want {
			t.Errorf("%q closed: %v, want %v", m, m.Closed(), want)
		}
	}
}
