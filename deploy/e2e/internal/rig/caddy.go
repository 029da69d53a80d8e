package rig

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// StartCaddy runs Debian's Caddy with a Caddyfile, which has to listen at addr, and returns once it does.
func StartCaddy(tb testing.TB, caddyfile, addr string) {
	tb.Helper()
	dir := Dir(tb)
	file := filepath.Join(dir, "Caddyfile")
	WriteFile(tb, file, caddyfile)
	cmd := exec.Command("caddy", "run", "--adapter", "caddyfile", "--config", file)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}
	startListening(tb, cmd, "Caddy", addr)
}

// StartHAProxy runs Debian's HAProxy with a configuration, which has to listen at addr, and returns once it does.
func StartHAProxy(tb testing.TB, conf, addr string) {
	tb.Helper()
	file := filepath.Join(Dir(tb), "haproxy.cfg")
	WriteFile(tb, file, conf)
	startListening(tb, exec.Command("haproxy", "-db", "-f", file), "HAProxy", addr)
}

func startListening(tb testing.TB, cmd *exec.Cmd, name, addr string) {
	tb.Helper()
	proc := startProcess(tb, cmd)
	WaitFor(tb, name+" to listen", func() bool {
		if proc.hasExited() {
			tb.Fatalf("rig: %s ended:\n%s", name, proc.output(tb))
		}
		conn, err := net.Dial("tcp4", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}
