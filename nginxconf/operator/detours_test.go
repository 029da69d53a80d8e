package operator

import (
	"fmt"
	"reflect"
	"testing"
)

// What the kernel refuses at a closed site's upstreams nginx sends on: to other servers of their upstream {}.
func TestSpares(t *testing.T) {
	for _, tt := range []struct {
		name, upstream string
		given          []string
		want           []Spare
	}{
		{"a backup", "server 127.0.0.1:8000; server 10.0.0.2:8000 backup;", []string{"127.0.0.1:8000"}, []Spare{{Place{"/n", 2}, "10.0.0.2:8000"}}},
		{"a sibling", "server localhost:8000; server unix:/run/app.sock;", []string{"127.0.0.1:8000"}, []Spare{{Place{"/n", 2}, "unix:/run/app.sock"}}},
		{"all are given", "server 127.0.0.1:8000; server 127.0.0.1:8001 backup;", []string{"127.0.0.1:8000", "localhost:8001"}, nil},
		{"none is given", "server 127.0.0.1:8000; server 127.0.0.1:8001 backup;", nil, nil},
		{"one that is down", "server 127.0.0.1:8000; server 127.0.0.1:8001 down;", []string{"127.0.0.1:8000"}, nil},
		{"another application's", "server 127.0.0.1:9000; server 127.0.0.1:9001;", []string{"127.0.0.1:8000"}, nil},
	} {
		conf := fmt.Sprintf("http {\nupstream app { %s }\nserver { include %s; location / { proxy_pass http://app; } location /x { proxy_pass http://APP/; } }\n}", tt.upstream, ours)
		if got := serving(t, tt.given, "/n", conf, ours, "").Spares; !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// A refusal is a 502: where an error_page of the site leads it elsewhere, or hides it, that is named.
func TestErrorPagesThatLeadElsewhere(t *testing.T) {
	for _, tt := range []struct {
		http, server string
		named        bool
	}{
		{"", "", false},
		{"", "error_page 502 @other; location @other { proxy_pass http://127.0.0.1:9000; }", true},
		{"", "error_page 500 502 504 = @other; location @other { fastcgi_pass 127.0.0.1:9000; }", true},
		{"", "error_page 502 @again; location @again { proxy_pass http://127.0.0.1:8000; }", false},
		{"", "error_page 502 @again; location @again { proxy_pass http://localhost:8000/x; }", false},
		{"", "error_page 502 @who; location @who { proxy_pass http://$where; }", true},
		{"", "error_page 500 502 503 504 /50x.html; location = /50x.html { root /srv; }", false},
		{"", "error_page 502 /50x.html;", false},
		{"", "error_page 502 /other/x?y; location /other/ { proxy_pass http://127.0.0.1:9000; }", true},
		{"", "error_page 502 =200 /50x.html; location = /50x.html { root /srv; }", true},
		{"", "error_page 502 = /50x.html; location = /50x.html { root /srv; }", true},
		{"", "error_page 502 =503 /50x.html; location = /50x.html { root /srv; }", false},
		{"", "error_page 502 = @down; location @down { return 503; }", false},
		{"", "error_page 502 = @down; location @down { return 200 fine; } location ~ . { return 503; }", true},
		{"", "error_page 502 https://elsewhere.example.org/;", true},
		{"", "error_page 404 =200 @other; location @other { proxy_pass http://127.0.0.1:9000; }", false},
		{"", "location /a { error_page 502 @other; } location @other { proxy_pass http://127.0.0.1:9000; }", true},
		{"error_page 502 =200 /x;", "", true},
		{"error_page 502 =200 /x;", "error_page 404 /y;", false},
		{"", "error_page 502 = @conforma_no_gate;", false},
	} {
		conf := fmt.Sprintf("http { %s\nserver { include %s; location / { proxy_pass http://127.0.0.1:8000; } %s }\n}", tt.http, ours, tt.server)
		if got := serving(t, []string{"127.0.0.1:8000"}, "/n", conf, ours, "").ErrorPages; len(got) > 0 != tt.named {
			t.Errorf("%s %s: named %v, want %v", tt.http, tt.server, got, tt.named)
		}
	}
	// Without upstreams all that the site leads to is refused.
	conf := "http { server { include " + ours + "; error_page 502 @other; location @other { proxy_pass http://127.0.0.1:9000; } } }"
	if got := serving(t, nil, "/n", conf, ours, "").ErrorPages; got != nil {
		t.Errorf("named %v, want none", got)
	}
}
