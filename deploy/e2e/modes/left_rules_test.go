package modes

import (
	"os"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/nginxconf"
)

// TestRulesLeftInPlace: a site no longer shows the page, or is no longer in the configuration, and its rules lie where
// nginx goes on including them. The others close and open as ever.
func TestRulesLeftInPlace(t *testing.T) {
	t.Parallel()
	h := rig.NewHost(t)
	const shows = "\nnavigation = \"page\""
	const last = "name      = \"archive\""
	h.EditConfig(t, last, last+shows)
	h.Install(t)
	defines := func() bool {
		t.Helper()
		conf, err := os.ReadFile(nginxconf.HTTPFile(h.ConfDir))
		if err != nil {
			t.Fatal(err)
		}
		return nginxconf.NamesLanguage(conf)
	}
	works := func() {
		t.Helper()
		for _, args := range [][]string{
			{"set", "offline", "--site", "demo"}, {"reconcile"}, {"set", "online", "--site", "demo"}, {"render"}, {"reconcile"},
		} {
			h.CLI(t, args...).Want(t, 0)
		}
		h.Nginx.Stop(t)
		h.Nginx.Start(t) // as at the next boot
	}

	h.EditConfig(t, shows, "")
	h.CLI(t, "set", "offline", "--site", "demo").Want(t, 0)
	if !defines() {
		t.Error("what the other site's rules name is no longer defined")
	}
	works()
	if defines() {
		t.Error("http.conf still defines what no rules name")
	}

	h.EditConfig(t, last, last+shows)
	h.CLI(t, "render").Want(t, 0)
	conf, err := os.ReadFile(h.Config)
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(conf), "[[site]]\n"+last)
	rig.WriteFile(t, h.Config, before)
	works()
	if !defines() {
		t.Error("what the rules of the site that was taken out name is no longer defined")
	}
}
