package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

func (r *reader) webhooks(tables []*table) []Webhook {
	var out []Webhook
	for _, t := range tables {
		h := Webhook{URL: t.text("url", required), SecretFile: t.text("secret_file", required)}
		if h.URL != "" && t.checkURL("url", h.URL) {
			t.checkPrivate("url", h.URL)
		}
		if i := slices.IndexFunc(out, func(o Webhook) bool { return o.URL == h.URL }); i >= 0 && h.URL != "" {
			t.fault("url", fmt.Sprintf("is that of the webhook on line %d", tables[i].line()), "keep one of them")
		}
		t.checkAbsolute("secret_file", h.SecretFile)
		t.done()
		out = append(out, h)
	}
	return out
}

// checkPrivate reports a URL over which anybody on the way could read along.
func (t *table) checkPrivate(key, s string) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "https" {
		return
	}
	host := strings.TrimSuffix(u.Hostname(), ".")
	if addr := net.ParseIP(host); host != "localhost" && (addr == nil || !addr.IsLoopback()) {
		t.fault(key, "is http, and not to this machine", `write "https://…"`)
	}
}
