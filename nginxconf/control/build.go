package control

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// Build is what an nginx says of itself with -V.
type Build struct {
	Version     string // "1.22.1"
	AuthRequest bool   // whether it has ngx_http_auth_request_module, which is not built by default
	// Modules are those that rules for it may name, see nginxconf.KnownModules; none where it doesn't say.
	Modules []string
}

// Build asks nginx for its version and modules. The error wraps ErrNoDump when TestCommand has no -t that could
// become -V.
func (n Nginx) Build(ctx context.Context) (Build, error) {
	argv, err := n.command("-V")
	if err != nil {
		return Build{}, err
	}
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

// Modules are Build's, for those who need no more.
func (n Nginx) Modules(ctx context.Context) ([]string, error) {
	b, err := n.Build(ctx)
	return b.Modules, err
}
