package modes

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/answers"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// hostAddress is where a standby sends the questions of certificate authorities.
var hostAddress = regexp.MustCompile(`proxy_pass "http://[^"/]+:80";`)

// standby renders what a second machine needs, and returns its nginx, which has the host's addresses here: it is to
// be started where the host's own is stopped. Questions of certificate authorities go to the address host.
func standby(t *testing.T, h *rig.Host, host string) *rig.Nginx {
	t.Helper()
	dir := filepath.Join(h.Nginx.Dir, "standby")
	h.CLI(t, "render", "--standby", "--out", dir).Want(t, 0)
	main := filepath.Join(dir, "standby.conf")
	n := rig.NewNginx(t)
	if os.Geteuid() == 0 { // as it is: its places for temporary files are root's
		n.Conf = main
		argv := n.Args("-t", "-g", fmt.Sprintf("pid %s; error_log stderr;", n.PIDFile()))
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil || strings.Contains(string(out), "[warn]") {
			t.Fatalf("nginx refuses what was rendered: %v\n%s", err, out)
		}
		n.Conf = filepath.Join(n.Dir, "nginx.conf")
	}
	text := rig.ReadFile(t, main)
	for _, b := range h.Blocks {
		if strings.Contains(text, rig.Loopback(b.App.Port)) {
			t.Errorf("the application of %s is named in it", b.Name)
		}
	}
	_, inside, _ := strings.Cut(hostAddress.ReplaceAllString(text, `proxy_pass "http://`+host+`";`), "\nhttp {\n")
	n.Configure(t, strings.TrimSuffix(inside, "}\n"))
	return n
}

// TestStandby has a second machine answer for a host that is off: every request as the host would while it is
// offline, with the store's status, also once the store is away.
func TestStandby(t *testing.T) {
	t.Parallel()
	h := rig.NewHost(t)
	h.EditConfig(t, `name      = "stack"`, `name      = "stack"
navigation = "page"`)
	h.Install(t)
	h.CLI(t, "publish").Want(t, 0)
	h.CLI(t, "set", "offline", "--all", "--eta", "2h", "--message", "The host is off.").Want(t, 0)
	ca := rig.NewApp(t, "certificates")
	n := standby(t, h, rig.Loopback(ca.Port))
	for _, name := range []string{"demo", "archive"} { // a copy is good for as long without asking
		rules := filepath.Join(h.Nginx.Dir, "standby", "sites", name, "rules.conf")
		rig.Edit(t, rules, "proxy_cache_valid 200 5s;", "proxy_cache_valid 200 1s;")
	}
	h.Nginx.Stop(t)
	n.Start(t)

	site := "demo"
	w := answers.Want{Host: h, Site: site, Mode: "offline", Page: h.PageURL + "/" + site + "/", Published: h.Published(t, site)}
	for _, request := range requests(h.Block(t, site)) {
		if request.Offline == answers.Barred || request.Offline == answers.Normal {
			continue // of a certificate authority: see below
		}
		if request.Over == "HTTP/2" { // a browser takes HTTP/1.1 as well
			continue
		}
		t.Run(request.Name, func(t *testing.T) {
			w.Message = request.Message
			w.Check(t, request.Closed(answers.Administrator), request.Send(t, h, site, answers.Administrator))
		})
	}
	for _, site := range []string{"north", "training"} {
		if got := h.Client(t, site).Do(t, rig.Navigation("/x?y=1")); got.Status != 302 || got.Header.Get("Location") != h.PageURL+"/"+site+"/#at=/x?y=1" {
			t.Errorf("%s: %s", site, got.Stable())
		}
	}
	got := h.Client(t, "stack").Do(t, rig.Navigation("/x?y=1").With("Accept-Language: fr"))
	if m := shownLanguage.FindStringSubmatch(got.Body); got.Status != 503 || m == nil || m[1] != "fr" || got.Header.Get("Retry-After") != "60" {
		t.Errorf("a site that shows its page: %s", got.Stable())
	}
	if got := h.Client(t, site).Get(t, "/.conforma-status/health"); got.Status != 200 {
		t.Errorf("a load balancer is told %d", got.Status)
	}

	// Certificate authorities' questions go to the host, once.
	seen := ca.Count()
	if got := h.Client(t, site).Do(t, rig.ACME()); got.Status != 200 || ca.Count() != seen+1 {
		t.Errorf("a certificate authority gets %s", got.Stable())
	}
	if got := h.Client(t, site).Do(t, rig.ACME().With("X-Conforma-Standby: yes")); got.Status != 404 {
		t.Errorf("what came by a standby goes round: %d", got.Status)
	}

	// A new status is there within seconds; one that can't be had leaves the last.
	status := filepath.Join(h.Store, site, "status.json")
	newer := strings.Replace(h.Published(t, site), "The host is off.", "It takes longer.", 1)
	rig.WriteFile(t, status, newer)
	told := func() string { t.Helper(); return h.Client(t, site).Get(t, "/.conforma-status/status.json").Body }
	rig.WaitFor(t, "the new status", func() bool { return told() == newer })
	rig.Check(t, os.Remove(status))
	time.Sleep(1100 * time.Millisecond) // until the copy is to be asked for anew
	for range 3 {
		if got := h.Client(t, site).Get(t, "/.conforma-status/status.json"); got.Status != 200 || got.Body != newer ||
			got.Header.Get("Cache-Control") != "no-cache" || len(got.Header.Values("Access-Control-Allow-Origin")) != 1 {
			t.Errorf("with the store away: %s", got.Stable())
		}
	}
	// A site whose status was never had is told to be closed.
	rig.Check(t, os.Remove(filepath.Join(h.Store, "archive", "status.json")))
	if got := rig.ParseStatus(t, h.Client(t, "archive").Get(t, "/.conforma-status/status.json").Body); got.Mode != "offline" {
		t.Errorf("without any status: %+v", got)
	}
	// So it is where the store's name leads nowhere: the last copy, or none.
	rig.Edit(t, n.Conf, "resolver ", "resolver 127.0.0.1:1; #")
	for _, name := range []string{site, "archive"} {
		rules := filepath.Join(h.Nginx.Dir, "standby", "sites", name, "rules.conf")
		rig.Edit(t, rules, `set $conforma_store "`+strings.TrimPrefix(h.PageURL, "http://")+`";`, `set $conforma_store "store.example.test:1";`)
	}
	n.Stop(t)
	n.Start(t)
	if got := told(); got != newer {
		t.Errorf("with a store that is not found: %s", got)
	}
	if got := rig.ParseStatus(t, h.Client(t, "archive").Get(t, "/.conforma-status/status.json").Body); got.Mode != "offline" {
		t.Errorf("with a store that is not found, and without any status: %+v", got)
	}
	for _, b := range h.Blocks {
		if open := b.App.Open(); len(open) != 0 {
			t.Errorf("%s: %+v", b.Name, open)
		}
	}
}
