package modes

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/answers"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestMessagesAreText has messages that mean something to a shell, to nginx, to JSON, to HTML or to Go: visitors get
// them as they were typed, and nothing else changes for that.
func TestMessagesAreText(t *testing.T) {
	t.Parallel()
	h := rig.NewHost(t)
	h.Install(t)
	h.CLI(t, "publish").Want(t, 0)
	h.CLI(t, "set", "offline", "--site", "demo", "--message", "plain").Want(t, 0)
	same := map[string]string{}
	for _, path := range []string{h.SiteFile("demo"), filepath.Join(h.ConfDir, "http.conf"), filepath.Join(h.Store, "demo", "index.html")} {
		same[path] = rig.ReadFile(t, path)
	}
	for name, message := range map[string]string{
		"quotes":           `He said "it's back", and \"left\" \`,
		"newlines":         "First line.\nSecond line.\n\n\tIndented.",
		"dollars":          "$host ${host} $request_uri $(reboot) $$ costs $5",
		"nginx":            `"; } location / { return 200; } # {PAGE_URL} {DIR}`,
		"a script":         `<script>alert(1)</script></script><!--`,
		"an entity":        "&lt;b&gt; &amp; <b>bold</b>",
		"a template":       `{{.Secret}} %s %d %!v {0} <%= 1 %>`,
		"JSON":             `","mode":"online","x":"`,
		"other scripts":    "أهلاً بكم — 維護中 — обслуживание 🛠️",
		"line separators":  "one\u2028two\u2029three",
		"backquotes":       "`reboot` ' ' \\u0000 \\n",
		"a flag":           "--force",
		"2000 characters":  strings.Repeat("ü", 2000),
		"spaces around it": "  spaced  ",
	} {
		h.CLI(t, "set", "offline", "--site", "demo", "--message="+message).Want(t, 0)
		d := rig.Agree(t, h, "demo")
		if d.Message == nil || *d.Message != message {
			t.Errorf("%s: the message is %v, want %q", name, d.Message, message)
		}
		m := rig.GraphQL("")
		answers.Want{Host: h, Site: "demo", Mode: "offline", Page: h.PageURL + "/demo/", Message: m}.
			Check(t, answers.Refused, answers.Request{Message: m}.Send(t, h, "demo", answers.Anyone))
		for path, was := range same {
			if rig.ReadFile(t, path) != was {
				t.Errorf("%s: %s has changed", name, path)
			}
		}
	}

	was := h.Published(t, "demo")
	for name, message := range map[string]string{
		"10 kB":                    strings.Repeat("0123456789", 1024),
		"2001 characters":          strings.Repeat("ü", 2001),
		"nothing":                  "",
		"only spaces":              " \n\t ",
		"not UTF-8":                "caf\xe9",
		"a terminal's escape code": "\x1b[2J",
		"a carriage return":        "one\r\ntwo",
	} {
		r := h.CLI(t, "set", "offline", "--site", "demo", "--message", message).Want(t, 2)
		if !strings.HasPrefix(r.Stderr, "conforma-status: read --message: ") || !strings.Contains(r.Stderr, "\nhint: ") || r.Stdout != "" {
			t.Errorf("%s: got %q and %q", name, r.Stderr, r.Stdout)
		}
		if strings.Contains(r.Stderr, "\x1b") || len(r.Stderr) > 1000 {
			t.Errorf("%s: the error repeats the message: %q", name, r.Stderr)
		}
		if now := h.Published(t, "demo"); now != was {
			t.Errorf("%s: published was %s and is %s", name, was, now)
		}
	}
}
