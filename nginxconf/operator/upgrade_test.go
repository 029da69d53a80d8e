package operator

import (
	"fmt"
	"testing"
)

func TestUpgrade(t *testing.T) {
	const upgrade = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection Upgrade; "
	const pass = "proxy_pass http://127.0.0.1:8000/; "
	for _, c := range []struct {
		name, http, server string
		without            string // the lines of locations that hand /websocket/x on without
		has                bool
	}{
		{"Conforma's own host file", "", "location / { " + pass + "}", "[2]", false},
		{"with its Host header", "", "location / { " + pass + "proxy_set_header Host $http_host; }", "[2]", false},
		{"handed on", "", "location / { " + pass + upgrade + "}", "[]", true},
		{"by a location of its own", "", "location / { " + pass + "}\n location /websocket/ { " + pass + upgrade + "}", "[]", true},
		{"by one for something else", "", "location / { " + pass + "}\n location /ws/ { " + pass + upgrade + "}", "[2]", true},
		{"in the server", "", upgrade + "location / { " + pass + "}", "[]", true},
		{"in http", upgrade, "location / { " + pass + "}", "[]", true},
		{"in the server, but not inherited", "", upgrade + "location / { " + pass + "proxy_set_header Host $host; }", "[2]", false},
		{"by HTTP/1.0", "", "location / { " + pass + "proxy_set_header upgrade $http_upgrade; }", "[2]", false},
		{"by a pattern", "", "location / { " + pass + "}\n location ~* ^/WEBSOCKET/ { " + pass + upgrade + "}", "[]", true},
		{"before a pattern", "", "location ^~ /websocket/ { " + pass + "}\n location ~ ^/websocket/ { " + pass + upgrade + "}", "[2]", true},
		{"by a pattern within", "", "location /websocket/ { " + pass + "\n location ~ x$ { " + pass + upgrade + "} }", "[]", true},
		{"exactly", "", "location / { " + pass + "}\n location = /websocket/x { " + pass + upgrade + "}", "[]", true},
		{"handed on to nobody", "", "location / { return 404; }", "[]", false},
		{"of no server", "", "", "[]", false},
	} {
		conf, err := ReadConfig([]byte("# configuration file /etc/nginx/nginx.conf:\nhttp { " + c.http + "server { include " + ours + ";\n " + c.server + " } }\n" +
			"# configuration file " + ours + ":\n"))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		lines := []int{}
		for _, at := range conf.NoUpgrade(ours, "/websocket/x") {
			lines = append(lines, at.Line)
		}
		if got := fmt.Sprint(lines); got != c.without || conf.HasUpgrade(ours) != c.has {
			t.Errorf("%s: without %v, want %s; has one: %v, want %v", c.name, got, c.without, conf.HasUpgrade(ours), c.has)
		}
	}
}
