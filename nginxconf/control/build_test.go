package control

import "testing"

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
