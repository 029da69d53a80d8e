package nginxconf

import (
	"slices"
	"strings"
	"testing"
)

func aStandby() Standby {
	stored := &Stored{URL: "https://maintenance.example.org/demo/status.json", CAFile: "/etc/ssl/certs/ca-certificates.crt"}
	shows := Site{Name: "north", AppURL: "https://north.example.org", PageURL: "https://maintenance.example.org/north/", ShowsPage: true,
		Stored: &Stored{URL: "http://192.0.2.7:7070/north/status.json"}}
	demo := demoSite()
	demo.Stored = stored
	tls := []Certificate{{"/etc/letsencrypt/live/demo/fullchain.pem", "/etc/letsencrypt/live/demo/privkey.pem"}}
	return Standby{
		Dir: "/srv/standby", User: "www-data", Resolvers: []string{"10.0.0.2", "fd00::2"}, Host: "10.0.1.12",
		Sites: []StandbySite{
			{demo, []StandbyServer{
				{Names: []string{"demo.example.org", `~^(?<who>\w+)\.example\.net$`}, Certificates: tls, PasswordFile: "/etc/ssl/passwords",
					Listens: []StandbyListen{{"443", true, false, false}, {"[::]:443", true, true, true}}, Secure: "https://demo.example.org"},
				{Names: []string{"demo.example.org"}, Listens: []StandbyListen{{"80", false, false, true}}},
			}},
			{shows, []StandbyServer{{Listens: []StandbyListen{{"127.0.0.1:50000", false, false, true}}}}},
		},
		Others: []StandbyServer{{Names: []string{"_"}, Certificates: tls, Listens: []StandbyListen{{"443", true, false, true}}}},
	}
}

func TestStandby(t *testing.T) {
	files, err := aStandby().Files()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "standby", files["standby.conf"])
	golden(t, "standby-rules", files["sites/demo/rules.conf"])
	for name, text := range files {
		for _, application := range []string{"127.0.0.1:8000", "proxy_pass http://conforma_status_gate"} {
			if strings.Contains(string(text), application) {
				t.Errorf("%s leads to %s", name, application)
			}
		}
	}
	if _, there := files["sites/north/closed"]; !there || len(files) != 5 {
		t.Errorf("it has %d files", len(files))
	}
	again, err := aStandby().Files()
	if err != nil || string(again["standby.conf"]) != string(files["standby.conf"]) {
		t.Errorf("rendered again it is another (%v)", err)
	}
}

func TestStandbyRefusesWhatNginxCantBeTold(t *testing.T) {
	for name, spoil := range map[string]func(*Standby){
		"the directory": func(s *Standby) { s.Dir = "/srv/$standby" },
		"the user":      func(s *Standby) { s.User = "www-data; daemon off" },
		"a name server": func(s *Standby) { s.Resolvers = []string{"10.0.0.2; daemon off"} },
		"the host":      func(s *Standby) { s.Host = "$host" },
		"a certificate": func(s *Standby) { s.Sites[0].Servers[0].Certificates[0].File = "/etc/$ssl_server_name.pem" },
		"a key":         func(s *Standby) { s.Sites[0].Servers[0].Certificates[0].Key = "/etc/\n" },
		"a name":        func(s *Standby) { s.Sites[0].Servers[0].Names[0] = "$hostname" },
		"a pattern":     func(s *Standby) { s.Sites[0].Servers[0].Names[1] = "~^\x00$" },
		"a listen":      func(s *Standby) { s.Sites[1].Servers[0].Listens[0].Addr = "80\x7f" },
		"another's":     func(s *Standby) { s.Others[0].Listens[0].Addr = "$port" },
		"an address":    func(s *Standby) { s.Sites[0].Servers[0].Secure = "https://$host" },
		"the passwords": func(s *Standby) { s.Sites[0].Servers[0].PasswordFile = "/etc/$passwords" },
		"the store":     func(s *Standby) { s.Sites[0].Stored.URL = "s3://bucket/status.json" },
		"its address":   func(s *Standby) { s.Sites[0].Stored.URL = "https://$host/status.json" },
		"authorities":   func(s *Standby) { s.Sites[0].Stored.CAFile = "/etc/$authorities" },
		"the page":      func(s *Standby) { s.Sites[0].PageURL = "https://$host/" },
	} {
		s := aStandby()
		spoil(&s)
		if _, err := s.Files(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// FuzzServerName: a name of server_name is one parameter to nginx, and means what it meant.
func FuzzServerName(f *testing.F) {
	for _, s := range []string{"demo.example.org", "*.example.org", `~^(?<who>\w+)\.example\.net$`, `~"; } http { `, `~\`, "~${x}", "$hostname"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		text, err := quoteName(name)
		if err != nil {
			return
		}
		words, end, err := readDirective("server_name " + text + " other;")
		if want := []string{"server_name", name, "other"}; err != nil || end != ';' || !slices.Equal(words, want) {
			t.Errorf("%q is written as %s, which nginx reads as %q (%v)", name, text, words, err)
		}
	})
}
