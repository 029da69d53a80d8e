package control

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
)

func TestRefusalsAreTold(t *testing.T) {
	cases := []error{ErrDuplicate, ErrOpenFileCache, ErrNoHTTPConf, ErrDenied}
	for said, want := range map[string][]error{
		`nginx: [emerg] "open_file_cache" directive is duplicate in /etc/nginx/cs/sites/demo.conf:5`: {ErrDuplicate, ErrOpenFileCache},
		`nginx: [emerg] "auth_request" directive is duplicate in /etc/nginx/cs/sites/demo.conf:57`:   {ErrDuplicate},
		`nginx: [emerg] unknown "conforma_kind" variable`:                                            {ErrNoHTTPConf},
		`nginx: [emerg] unknown "conform" variable`:                                                  {},
		`nginx: [emerg] open() "/etc/nginx/x.conf" failed (13: Permission denied)`:                   {ErrDenied},
		`nginx: [emerg] unknown directive "open_file_cash" in /etc/nginx/nginx.conf:3`:               {},
	} {
		script := fmt.Sprintf("echo '%s' >&2; exit 1", said)
		n := Nginx{TestCommand: []string{"sh", "-c", script, "-t"}}
		err := n.Test(t.Context())
		if !errors.Is(err, ErrRefused) || err.Error() != "test nginx's configuration: sh -c "+script+" -t: refused: "+said {
			t.Errorf("the error is %v", err)
		}
		for _, is := range cases {
			wanted := false
			for _, w := range want {
				wanted = wanted || w == is
			}
			if errors.Is(err, is) != wanted {
				t.Errorf("%s: is %q: %v", said, is, !wanted)
			}
		}
	}
}

func TestReadBuild(t *testing.T) {
	built := []string{"limit_req", "limit_conn", "charset", "ssi", "userid", "mirror"} // by default
	for said, want := range map[string]Build{
		"nginx version: nginx/1.22.1\nconfigure arguments: --with-http_auth_request_module\n": {"1.22.1", true, built},
		"nginx version: nginx/1.18.0 (Ubuntu)\nconfigure arguments:\n":                        {"1.18.0", false, built},
		"nginx version: nginx/1.29.3\nconfigure arguments:\n":                                 {"1.29.3", false, append(slices.Clone(built), "add_header_inherit")},
		"nginx version: openresty/1.21.4.1\n":                                                 {"1.21.4.1", false, nil},
		"nginx version: nginx/1.18.0\nconfigure arguments: --without-http_limit_req_module --with-http_sub_module --without-http_charset_module --with-http_subtle_module\n": {
			"1.18.0", false, []string{"limit_conn", "ssi", "userid", "mirror", "sub"}},
		"": {},
	} {
		if got := readBuild([]byte(said)); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, want %+v", said, got, want)
		}
	}
}
