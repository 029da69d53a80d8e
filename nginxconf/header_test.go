package nginxconf

import (
	"regexp"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/status"
)

func TestReadHeader(t *testing.T) {
	for line, want := range map[string]struct {
		mode status.Mode
		rev  string
	}{
		"# conforma-status: site demo is online, revision 12-00c0ffee. Include": {status.Online, "12-00c0ffee"},
		"# conforma-status: site x_1 is admin, revision 0-ffffffff.\n":          {status.Admin, "0-ffffffff"},
		"# conforma-status: site demo is ajar, revision 12-00c0ffee.":           {},
		"# conforma-status: site demo is online, revision 12.":                  {},
		"\n# conforma-status: site demo is online, revision 12-00c0ffee.":       {},
		"location / { }": {},
		"":               {},
	} {
		if mode, rev := ReadHeader([]byte(line)); mode != want.mode || rev != want.rev {
			t.Errorf("%q: %s, %s", line, mode, rev)
		}
	}
	for _, mode := range status.Modes() {
		rules, err := demoSite().Render(mode, "7-00c0ffee")
		if got, rev := ReadHeader(rules); err != nil || got != mode || rev != "7-00c0ffee" {
			t.Errorf("of rules of %s it reads %s, %s (%v)", mode, got, rev, err)
		}
	}
	for rev, want := range map[string]uint64{"12-00c0ffee": 12, "": 0, "-1": 0, "x-1": 0, "9223372036854775808-1": 0, "5": 5} {
		if got := Order(rev); got != want {
			t.Errorf("order of %q is %d, want %d", rev, got, want)
		}
	}
}

func TestRevision(t *testing.T) {
	changes := map[string]func(*Site){
		"itself": func(*Site) {},
		"name":   func(s *Site) { s.Name = "live" }, "directory": func(s *Site) { s.Dir = "/srv" },
		"app": func(s *Site) { s.AppURL = "https://x" }, "page": func(s *Site) { s.PageURL = "https://x/" },
	}
	seen := map[string]string{}
	for name, change := range changes {
		for _, mode := range status.Modes() {
			s := demoSite()
			change(&s)
			rev, err := s.Revision(mode, 42)
			if err != nil || !regexp.MustCompile(`^42-[0-9a-f]{8}$`).MatchString(rev) {
				t.Errorf("%s, %s: revision %q, %v", name, mode, rev, err)
			}
			if other, ok := seen[rev]; ok {
				t.Errorf("%s, %s has the revision of %s", name, mode, other)
			}
			seen[rev] = name + ", " + string(mode)
			again, err := s.Revision(mode, 43)
			if err != nil || "42"+strings.TrimPrefix(again, "43") != rev {
				t.Errorf("%s, %s: first %s, then %s", name, mode, rev, again)
			}
		}
	}
	s := demoSite()
	first, _ := s.Revision(status.Admin, 1)
	s.LoginPaths = []string{"/login"}
	if second, err := s.Revision(status.Admin, 1); err != nil || second == first {
		t.Errorf("with other login paths the revision is still %s (%v)", second, err)
	}
}
