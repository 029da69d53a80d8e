package operator

import (
	"reflect"
	"testing"
)

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

func TestWhereAnybodyIsBelieved(t *testing.T) {
	conf, err := ReadConfig([]byte("# configuration file /n.conf:\nhttp {\nset_real_ip_from 10.0.0.0/8;\nset_real_ip_from ::/0;\nserver {\nset_real_ip_from 0.0.0.0/0;\n" +
		"location / { set_real_ip_from 0.0.0.0/00; set_real_ip_from unix:; set_real_ip_from 192.0.2.1; } } }"))
	if want := []Place{{"/n.conf", 3}, {"/n.conf", 5}, {"/n.conf", 6}}; err != nil || !reflect.DeepEqual(conf.credulous, want) {
		t.Errorf("got %v, %v; want %v", conf.credulous, err, want)
	}
}
