package operator

import "testing"

func TestHTTPIncludes(t *testing.T) {
	const main = "# configuration file /etc/nginx/nginx.conf:\n"
	for _, c := range []struct {
		name, conf string
		want       bool
	}{
		{"in http", "http { include /etc/nginx/cs/http.conf; }\n# configuration file /etc/nginx/cs/http.conf:\n", true},
		{"by a relative name", "http { include cs/*.conf; }\n# configuration file /etc/nginx/cs/http.conf:\n", true},
		{"in a file that is included", "http { include a.conf; }\n# configuration file /etc/nginx/a.conf:\ninclude cs/http.conf;\n# configuration file /etc/nginx/cs/http.conf:\n", true},
		{"in a server", "http { server { include cs/http.conf; } }\n# configuration file /etc/nginx/cs/http.conf:\n", false},
		{"commented out", "http {\n# include cs/http.conf;\n}", false},
		{"in stream", "stream { include cs/http.conf; }\n# configuration file /etc/nginx/cs/http.conf:\n", false},
	} {
		config, err := ReadConfig([]byte(main + c.conf))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := config.HTTPIncludes("/etc/nginx/cs/http.conf"); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	if _, err := ReadConfig([]byte("nonsense")); err == nil {
		t.Error("nonsense is taken for a configuration")
	}
}
