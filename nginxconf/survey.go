package nginxconf

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// Survey is what there is to see in the operator's configuration beyond how one site is served.
type Survey struct {
	// HTTPFiles are the files included at the top level of http {}.
	HTTPFiles []string
}

// ReadSurvey reads what nginx -T printed. The error wraps ErrSyntax.
func ReadSurvey(dump []byte) (Survey, error) {
	ds, err := parseDump(dump)
	if err != nil {
		return Survey{}, err
	}
	var out Survey
	for _, d := range ds {
		if d.name != "http" {
			continue
		}
		for _, in := range d.block {
			if in.name == "include" {
				out.HTTPFiles = append(out.HTTPFiles, in.args...)
			}
		}
	}
	return out, nil
}

// Includes reports whether http {} includes the file, by way of symbolic links too.
func (s Survey) Includes(file string) bool {
	return slices.ContainsFunc(s.HTTPFiles, func(f string) bool { return sameFile(f, file) })
}

// Build is what an nginx says of itself with -V.
type Build struct {
	Version     string // "1.22.1"
	AuthRequest bool   // whether it has ngx_http_auth_request_module, which is not built by default
}

// Build asks nginx for its version and modules. The error wraps ErrNoDump when TestCommand has no -t that could become -V.
func (n Nginx) Build(ctx context.Context) (Build, error) {
	argv := slices.Clone(n.TestCommand)
	slices.Reverse(argv)
	i := slices.Index(argv, "-t")
	if i < 0 {
		return Build{}, ErrNoDump
	}
	argv[i] = "-V"
	slices.Reverse(argv)
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(argv[0]), argv[1:]...)
	cmd.WaitDelay = time.Second      // a child that keeps the pipe open must not hold us
	out, err := cmd.CombinedOutput() // it goes to standard error
	if err != nil {
		return Build{}, fmt.Errorf("ask nginx for its version: %s: %w", strings.Join(argv, " "), err)
	}
	return readBuild(out), nil
}

func readBuild(out []byte) Build {
	var b Build
	for line := range bytes.Lines(out) {
		if _, rest, ok := bytes.Cut(line, []byte("nginx version: ")); ok {
			words := strings.Fields(string(rest))
			if len(words) > 0 {
				_, b.Version, _ = strings.Cut(words[0], "/")
			}
		}
	}
	b.AuthRequest = bytes.Contains(out, []byte("--with-http_auth_request_module"))
	return b
}

// Listening returns the TCP addresses that this machine's processes listen at, in this network namespace.
func (s Sockets) Listening() ([]netip.AddrPort, error) {
	all, err := s.list(os.Getpid())
	if err != nil {
		return nil, fmt.Errorf("look at this machine's sockets: %w", err)
	}
	var out []netip.AddrPort
	for _, sock := range all {
		if sock.listening {
			out = append(out, sock.local)
		}
	}
	return out, nil
}
