package setup

import (
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
)

const dump = `# configuration file /etc/nginx/nginx.conf:
pid /run/nginx.pid;
http
{
    # configuration for { all }
    upstream app { server 127.0.0.1:8002; server localhost:8003; }
    include sites/*;
}
# configuration file /etc/nginx/sites/a:
server { listen 443 ssl; server_name demo.example.org; location / { proxy_pass http://127.0.0.1:8000/; } }
server { listen [::]:50000 ssl; server_name demo.example.org; location / { proxy_pass http://app; } }
server { listen 80; server_name ~^x; location / { proxy_pass http://unix:/run/a"b.sock; } }
server { listen 8080; return 301 https://$host$request_uri; }
server { listen 127.0.0.1:3000; server_name _; location / { proxy_pass $where; } }
`

func TestGuess(t *testing.T) {
	conf, err := operator.ReadConfig([]byte(dump))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		envs []EnvFile
		want string
	}{
		{"no env files", nil, "demo=https://demo.example.org! demo-50000=https://demo.example.org:50000! localhost=http://localhost! 127=http://127.0.0.1:3000!"},
		{"one site's", []EnvFile{
			{"/home/u/d/env_files/angola site.env", "8003", ""}, {"/x/other.env", "9", ""}, {"/x/none.env", "", ""}},
			"demo=https://demo.example.org angola-site=https://demo.example.org:50000! localhost=http://localhost 127=http://127.0.0.1:3000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			sites := Guess(conf, c.envs)
			for _, s := range sites {
				text := s.name + "=" + s.appURL.url
				if s.chosen {
					text += "!"
				}
				got = append(got, text)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %v\nwant %s", got, c.want)
			}
			text := configuration(conf, sites, Container{})
			if _, faults := config.Parse("config.toml", []byte(text)); len(faults) > 0 {
				t.Errorf("the configuration is not one: %v\n%s", faults, text)
			}
		})
	}
}

func TestInsert(t *testing.T) {
	at := func(line int) operator.Place { return operator.Place{File: "f", Line: line} }
	got, err := insert("a;\nserver # not { here\n{ listen 80; }\nserver {\n}\n", []Line{{At: at(2), Text: "include x;"}, {At: at(4), Text: "include y;"}})
	if want := "a;\nserver # not { here\n{\n    include x; listen 80; }\nserver {\n    include y;\n}\n"; err != nil || got != want {
		t.Errorf("got %q (%v)\nwant %q", got, err, want)
	}
	for _, line := range []int{0, 3, 99} {
		if _, err := insert("server {\n}\n", []Line{{At: at(line), Text: "include x;"}}); err == nil {
			t.Errorf("line %d is taken for a block", line)
		}
	}
}

func TestReadEnv(t *testing.T) {
	for text, want := range map[string]EnvFile{
		"PORT=8000\n": {"", "8000", ""}, "PORT_APP=1\nPORT='8001'\nPORT=\"8002\"": {"", "8002", ""}, "#PORT=1\n": {}, "": {},
		"WEB_HOST='https://demo.example.org:50000/'\nPORT=1": {"", "1", "https://demo.example.org:50000"},
	} {
		if got := readEnv("", text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
