package operator_test

import (
	"fmt"

	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
)

// A site with the rules included, and a second server {} that leads to its application past them.
func Example() {
	config, err := operator.ReadConfig([]byte(`# configuration file /etc/nginx/nginx.conf:
http {
  upstream app { server 127.0.0.1:8000; }
  server {
    include conforma-status/sites/demo.conf;
    listen 127.0.0.1:50000;
    server_name demo.example.org;
    location / { proxy_pass http://app; }
  }
  server {
    listen 8080;
    location / { proxy_pass http://localhost:8000; }
  }
}
# configuration file /etc/nginx/conforma-status/sites/demo.conf:
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	known := operator.Target{Site: "demo", Addr: "127.0.0.1:50000", URL: "http://demo.example.org:50000"}
	s := config.Serving("/etc/nginx/conforma-status/sites/demo.conf", known, nil)
	fmt.Println(s.Upstreams, s.Targets)
	for _, hole := range s.Holes {
		fmt.Println(hole.Server, "leads to", hole.Upstream, "at", hole.Pass)
	}
	// Output:
	// [127.0.0.1:8000] [{demo 127.0.0.1:50000 http://demo.example.org:50000}]
	// /etc/nginx/nginx.conf:9 leads to 127.0.0.1:8000 at /etc/nginx/nginx.conf:11
}
