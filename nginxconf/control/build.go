package control

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

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
	cmd := exec.CommandContext(ctx, Program(argv[0]), argv[1:]...)
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
