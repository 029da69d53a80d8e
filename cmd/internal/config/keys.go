package config

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
)

// Key is one key of the configuration, as people read of it. The parser takes names and defaults from here.
type Key struct {
	Name    string // dotted: "site.jwt.audience"
	Kind    Kind
	Default string // in TOML; "" where it is required, or follows from something else
	Follows string // what the default follows from, for people; "" where Default says it
	Example string // in TOML; "" where the default is one
	Since   string // the release that brought it
	Text    string // what it is: sentences for people, no Markdown
}

// Kind is what a key's value is.
type Kind string

// The kinds. A table has keys of its own, and there are any number of Tables.
const (
	Text     Kind = "string"
	Flag     Kind = "boolean"
	Duration Kind = "duration"
	Path     Kind = "absolute path"
	URL      Kind = "http or https URL"
	Strings  Kind = "list of strings"
	Command  Kind = "command, a list of strings"
	Table    Kind = "table"
	Tables   Kind = "any number of tables"
)

// first is the first release.
const first = "1.0"

// Keys are all of them, in the order of the reference. Those of a table come right after it.
var Keys = []Key{
	{"store", Text, "", "", `"s3://conforma-maintenance"`, first,
		`Where the maintenance site is published: "s3://BUCKET" or "s3://BUCKET/PREFIX", or "dir:/ABSOLUTE/PATH", a directory that a web server on another machine serves. Required.`},
	{"page_url", URL, "", "", `"https://maintenance.example.org"`, first,
		"Where visitors find the store's root. Required."},
	{"state_dir", Path, `"/var/lib/conforma-status"`, "", "", first,
		"What this host has on record, and what nginx reads at each request: its workers have to be able to enter it."},
	{"content", Path, `""`, "", `"/etc/conforma-status/content"`, first,
		"A directory of Markdown of your own. Without it the built-in page is published."},
	{"audit_log", Path, `""`, "", `"/var/log/conforma-status/audit.jsonl"`, first,
		"A file that gets a line of JSON for each change. logrotate rotates it."},
	{"metrics_file", Path, `""`, "", `"/var/lib/prometheus/node-exporter/conforma-status.prom"`, first,
		"A file for the textfile collector of the node exporter: mode, since when, overdue, what the gate admitted and refused."},
	{"on_change", Command, "[]", "", `["/usr/local/bin/tell-us"]`, first,
		"Started at each change, and once when an ETA has passed, with the event as JSON on its standard input. Nobody waits for it."},

	{"barrier", Text, `"auto"`, "", `"required"`, "1.1",
		`The kernel barrier, which keeps everybody from the applications of closed sites: "auto", where it can be had; "required": nothing is closed without it; "off".`},

	{"s3", Table, "", "", "", first, "How the bucket is reached. All of it is optional: what the AWS CLI finds is found here too."},
	{"s3.region", Text, `""`, "the AWS configuration", `"ap-southeast-2"`, first, "The region of the bucket."},
	{"s3.endpoint", URL, `""`, "the region", `"http://127.0.0.1:7070"`, first, "The address of a store that isn't Amazon's."},
	{"s3.path_style", Flag, "false", "", "true", first, "Whether the bucket stands in the path of an address and not in its host name, as many stores that aren't Amazon's want it."},

	{"nginx", Table, "", "", "", first, "The nginx that serves the sites."},
	{"nginx.conf_dir", Path, `"/etc/nginx/conforma-status"`, "", "", first, "Where http.conf and sites/NAME.conf are written, which nginx includes."},
	{"nginx.test", Command, `["nginx", "-t"]`, "", "", first, "Has nginx check its configuration. With -T in the place of -t it has to print it."},
	{"nginx.reload", Command, `["nginx", "-s", "reload"]`, "", "", first, "Has nginx reload its configuration."},
	{"nginx.pid_file", Path, `"/run/nginx.pid"`, "", "", first, "Holds the process id of nginx's master."},

	{"gate", Table, "", "", "", first, "The service that nginx asks about tokens and passes while a site is in admin mode."},
	{"gate.socket", Path, `"/run/conforma-status/gate.sock"`, "", "", first,
		"Its unix socket. After a change of it: systemctl daemon-reload, and systemctl restart conforma-status-gate.socket."},

	{"webhook", Tables, "", "", "", "1.1", "One for each address that is told of every change, by HTTP, signed as Standard Webhooks says; there need be none."},
	{"webhook.url", URL, "", "", `"https://hooks.example.org/maintenance"`, "1.1", "Where events are sent: https, or http to this machine. Required."},
	{"webhook.secret_file", Path, "", "", `"/etc/conforma-status/webhook.secret"`, "1.1",
		"A file that holds whsec_ and 24 to 64 bytes in base64, which the receiver has too; not open to others. Required."},

	{"fleet", Table, "", "", "", "1.1", "Several hosts that follow one switch. Without this table there is one host, and nothing of it runs."},
	{"fleet.host", Text, "", "the machine's name", `"app-1"`, "1.1", "What this host is called among the others. No two have the same name."},
	{"fleet.store", Text, "", "", `"s3://conforma-fleet"`, "1.1",
		"A private store, another than the one that visitors read, in which each host says how far it has got. Required."},
	{"fleet.poll", Duration, `"5s"`, "", "", "1.1", "How often a host looks at the switch, 1m at most."},
	{"fleet.key_file", Path, `"/etc/conforma-status/fleet.key"`, "", "", "1.1",
		"Holds the secret that the hosts share, and nothing else: orders are signed with it. Its group may read it, others may not."},

	{"site", Tables, "", "", "", first, "One for each web application behind nginx; at least one is required."},
	{"site.name", Text, "", "", `"demo"`, first, "What commands call it: letters, digits, - and _, at most 63. Required."},
	{"site.path", Text, "", "the site's name", `""`, first, `Its place in the store, with no slash at either end; "" is the root.`},
	{"site.app_url", URL, "", "", `"https://demo.example.org:50000"`, first, "The address of the application, as people type it. Required."},
	{"site.listen", Text, "", "127.0.0.1 at the port of app_url", `"127.0.0.1:50000"`, first, "The address and port where nginx serves it, as this machine reaches it."},
	{"site.upstreams", Strings, "[]", "", `["127.0.0.1:8000"]`, first,
		"Where nginx hands its requests on: addresses with their ports, or unix:/PATH. Nothing else may lead there."},
	{"site.preset", Text, `""`, "", `"conforma"`, first, `The application, where its login page is known: what that page needs is open to everybody in admin mode. The only one is "conforma".`},
	{"site.login_paths", Strings, "[]", "", `["/login", "/assets/"]`, first,
		"Further paths that are open to everybody in admin mode: exact ones, and prefixes that end in a slash."},
	{"site.settled", Command, "[]", "", `["/usr/share/conforma-status/settled-postgres.sh", "demo"]`, first,
		"A command that exits 0 once the application is idle. A closing that had to cut something is called safe only if it does."},
	{"site.grace", Duration, `"5s"`, "", "", "1.1",
		"How long, where settled is not set, a closing waits after the last connection to the application until it is called safe; 0s for not at all."},
	{"site.shared_upstream", Flag, "false", "", "true", "1.1",
		"Whether other sites live behind the same address. They are no holes then, and there is no kernel barrier while one of them is open."},
	{"site.smoke", Text, `""`, "", `"/"`, first, "A path that must answer 2xx before the site opens again."},
	{"site.navigation", Text, `"redirect"`, "", `"page"`, "1.1",
		"What a browser gets while the site is closed: a redirect to the page, or the page itself, as a 503 at the address that it asked for."},
	{"site.service_worker", Flag, "false", "", "true", "1.1",
		"Whether browsers that have visited the site keep a service worker, which leads them to the page while the host is off. After a change of it: conforma-status render, and conforma-status publish."},

	{"site.jwt", Table, "", "", "", first, "Admin mode by token: which tokens, of those that the application signs, are an administrator's."},
	{"site.jwt.secret_env_file", Path, `""`, "", `"/home/ubuntu/demo_server/env_files/demo.env"`, first,
		"The env file that has the JWT_SECRET= of the application. Either this or secret_file is required."},
	{"site.jwt.secret_file", Path, `""`, "", `"/etc/conforma-status/demo.secret"`, first, "A file that holds the secret and nothing else."},
	{"site.jwt.audience", Text, "", `"postgraphile" with preset = "conforma", else none is looked for`, `"postgraphile"`, first, "What a token's aud has to contain."},
	{"site.jwt.admin_claim", Text, `"isAdmin"`, "", "", first, "The claim that has to be the boolean true, under exactly this name."},
	{"site.jwt.max_age", Duration, `"8h"`, "", "", first, "How long after its iat a token is good. Conforma's have iat and no exp."},
	{"site.jwt.algorithm", Text, `"HS256"`, "", "", first, "What the application signs with: HS256, HS384 or HS512."},
	{"site.jwt.issuer", Text, `""`, "", `"demo"`, first, "What a token's iss has to be; without it any will do."},
	{"site.jwt.leeway", Duration, `"30s"`, "", "", first, "By how much the clocks of this machine and of the application may differ, 2m at most."},

	{"site.admin", Table, "", "", "", "1.1", "Admin mode without JWT, or beside it."},
	{"site.admin.allow", Strings, "[]", "", `["203.0.113.7", "10.0.0.0/8"]`, "1.1",
		"Addresses and networks that are let in while the site is in admin mode: the peer's address, or the one that nginx's realip module has put in its place."},
}

// family are the keys of one table, in their order.
type family []member

// member is a key in its table.
type member struct {
	Key
	name   string     // without that of its table
	preset func() any // the default; it is parsed once, when it is asked for
}

// families are the keys of each table, by its name: "" for the top, else with a dot at its end. Hundreds of sites ask
// for thousands of keys.
var families = sync.OnceValue(func() map[string]family {
	out := map[string]family{}
	for _, k := range Keys {
		at := strings.LastIndex(k.Name, ".") + 1
		m := member{Key: k, name: k.Name[at:], preset: sync.OnceValue(k.parseDefault)}
		out[k.Name[:at]] = append(out[k.Name[:at]], m)
	}
	return out
})

// key is the key of that name, nil where there is none.
func (f family) key(name string) *member {
	for i := range f {
		if f[i].name == name {
			return &f[i]
		}
	}
	return nil
}

// names are the names of the keys, without that of the table.
func (f family) names() (out []string) {
	for _, m := range f {
		out = append(out, m.name)
	}
	return out
}

// parseDefault returns the default of a key as TOML has it: a string, a boolean, or a list.
func (k Key) parseDefault() any {
	var value struct{ V any }
	if err := toml.Unmarshal([]byte("v = "+k.Default), &value); err != nil {
		panic(fmt.Sprintf("config: the default of %s: %v", k.Name, err))
	}
	return value.V
}

// shown is what is written for a key in an example.
func (k Key) shown() string {
	if k.Example != "" {
		return k.Example
	}
	return k.Default
}

// Usual is the default for people.
func (k Key) Usual() string {
	switch {
	case k.Follows != "":
		return k.Follows
	case k.Default == "":
		return "required"
	case k.Default == `""` || k.Default == "[]":
		return "none"
	}
	return k.Default
}

// Comments are the keys of a table as commented lines, each below what it is: take the # away to set one. table is ""
// for the top, else its name with a dot at its end. The keys in but are left out.
func Comments(table string, but ...string) string {
	var b strings.Builder
	for _, k := range families()[table] {
		if slices.Contains(but, k.name) || k.Kind == Table || k.Kind == Tables {
			continue
		}
		for _, line := range folded(k.Text+k.usually(), 108) {
			b.WriteString("# " + line + "\n")
		}
		fmt.Fprintf(&b, "# %s = %s\n\n", k.name, k.shown())
	}
	return b.String()
}

// usually says what the default is where the example is another.
func (k Key) usually() string {
	if usual := k.Usual(); k.Example != "" && usual != "none" && usual != "required" {
		return " Default: " + usual + "."
	}
	return ""
}

// folded is text in lines of at most width characters.
func folded(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}
