package operator

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
)

// Inventory is what nginx serves here before conforma-status knows of it.
type Inventory struct {
	Main    string // nginx's main configuration file
	HTTP    Place  // of its http {}; zero where there is none
	PIDFile string // as it is configured, "" for nginx's default
	Servers []ServerBlock
	Survey  Survey
}

// ServerBlock is a server {} that hands requests on.
type ServerBlock struct {
	At        Place
	Listen    string   // host:port of its first TCP listen; the host may be "*"
	TLS       bool     // on that one
	Names     []string // without wildcards and patterns; may be empty
	Upstreams []string // "host:port" or "unix:/path", in the order of the passes, each once
	Files     []string // that it includes
}

// ReadInventory reads what nginx -T printed. The error wraps ErrSyntax.
func ReadInventory(dump []byte) (Inventory, error) {
	c, err := ReadConfig(dump)
	if err != nil {
		return Inventory{}, err
	}
	ds, err := parseDump(dump)
	if err != nil {
		return Inventory{}, err
	}
	out := Inventory{Main: splitDump(string(dump))[0].name}
	if out.Survey, err = ReadSurvey(dump); err != nil {
		return Inventory{}, err
	}
	for _, d := range ds {
		switch {
		case d.name == "http" && d.block != nil && out.HTTP.File == "":
			out.HTTP = Place{d.file, d.line}
		case d.name == "pid" && len(d.args) == 1 && filepath.IsAbs(d.args[0]):
			out.PIDFile = d.args[0]
		}
	}
	for _, s := range c.Servers {
		i := slices.IndexFunc(s.Listens, func(l listen) bool { return !l.NotTCP })
		if len(s.Passes) == 0 || i < 0 {
			continue
		}
		f := ServerBlock{At: s.At, Listen: s.Listens[i].Addr, TLS: s.Listens[i].TLS, Files: s.Files}
		for _, name := range s.Names {
			if name != "" && name != "_" && !strings.ContainsAny(name, "*~$") && !strings.HasPrefix(name, ".") {
				f.Names = append(f.Names, name)
			}
		}
		for _, p := range s.Passes {
			for _, end := range c.ends(p.To) {
				if _, _, err := net.SplitHostPort(end); err != nil && !strings.HasPrefix(end, "unix:") {
					continue
				}
				if !slices.Contains(f.Upstreams, end) {
					f.Upstreams = append(f.Upstreams, end)
				}
			}
		}
		out.Servers = append(out.Servers, f)
	}
	return out, nil
}
