package nginxconf

import "testing"

func TestReadSurvey(t *testing.T) {
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
		s, err := ReadSurvey([]byte(main + c.conf))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := s.Includes("/etc/nginx/cs/http.conf"); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	if _, err := ReadSurvey([]byte("nonsense")); err == nil {
		t.Error("nonsense is taken for a configuration")
	}
}

func TestReadBuild(t *testing.T) {
	for said, want := range map[string]Build{
		"nginx version: nginx/1.22.1\nconfigure arguments: --with-http_auth_request_module\n": {"1.22.1", true},
		"nginx version: nginx/1.18.0 (Ubuntu)\nconfigure arguments:\n":                        {"1.18.0", false},
		"nginx version: openresty/1.21.4.1\n":                                                 {"1.21.4.1", false},
		"":                                                                                    {},
	} {
		if got := readBuild([]byte(said)); got != want {
			t.Errorf("%q: got %+v, want %+v", said, got, want)
		}
	}
}
