package closing

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/bench"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// idleClients is how many clients are connected and do nothing. Neither a process that holds some of them nor a worker
// of nginx comes near the 20,000 files that a container is often allowed.
const (
	idleClients   = 20_000
	idleProcesses = 4
	idleRounds    = 5
	bareRounds    = 3
	idleEnv       = "CONFORMA_STATUS_IDLE_CLIENTS_OF"
	idleFromEnv   = "CONFORMA_STATUS_IDLE_CLIENTS_FROM"
	// idleServer has a server {} answer who then does nothing.
	idleServer = "        keepalive_timeout 10m;\n        location = /idle { return 204; }\n"
)

// BenchmarkIdleConnections compares the switch of a site at whose port many clients are connected and do nothing, since
// they were answered, with that of one that has none. A part of it is nginx's: it closes all of them. So a bare reload,
// until the last old worker is gone, is compared in the same way.
//
// The clients are on a machine of their own, as visitors are: their ends of the connections aren't in the tables of the
// host.
func BenchmarkIdleConnections(b *testing.B) {
	rig.NeedBarrier(b) // and root
	machine := rig.NewNetwork(b)
	visitors := machine.Apart(b)
	machine.Wire(b, "visitors", visitors, "machine")
	machine.IP(b, "addr add 198.18.0.1/24 dev visitors") // RFC 2544: for benchmarks
	for i := range idleProcesses {
		visitors.IP(b, fmt.Sprintf("addr add %s/24 dev machine", idleFrom(i)))
	}
	machine.Enter(b)
	port := rig.Port(b)
	site := &testSite{name: "demo", plain: true, port: port, listen: []string{fmt.Sprintf("198.18.0.1:%d", port)},
		extra: idleServer}
	h := newTestHost(b, site)
	h.vouched(b)
	h.CLI(b, "render").Want(b, 0)
	h.Nginx.Configure(b, h.nginxConf(true))
	// Whoever has the accept mutex doesn't ask for it while it is nearly full, so that none is given too many.
	rig.Edit(b, h.Nginx.Conf, "worker_connections 512;", "worker_connections 10000; accept_mutex on; accept_mutex_delay 5ms;")
	rig.Edit(b, h.Nginx.Conf, "worker_processes 2;", "worker_processes 4; worker_rlimit_nofile 15000;")
	h.Nginx.StartWithin(b, machine)
	without, with := []float64{}, []float64{}
	switches := func(to *[]float64) {
		began := time.Now()
		h.CLI(b, "set", "offline").Want(b, 0)
		*to = append(*to, ms(time.Since(began)))
		h.CLI(b, "set", "online").Want(b, 0)
	}
	bareWithout, bareWith := []float64{}, []float64{}
	reload := func(to *[]float64) {
		master := h.Nginx.PID(b)
		old, args := children(b, master), h.Nginx.Args("-s", "reload")
		began := time.Now()
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		rig.WaitFor(b, "the old workers to be gone", func() bool {
			now := children(b, master)
			return len(now) == len(old) && !slices.ContainsFunc(now, func(pid int) bool { return slices.Contains(old, pid) })
		})
		*to = append(*to, ms(time.Since(began)))
	}
	for b.Loop() {
		for range idleRounds {
			switches(&without)
			leave := idle(b, visitors, dialledAt(site))
			switches(&with)
			leave()
		}
		for range bareRounds {
			reload(&bareWithout)
			leave := idle(b, visitors, dialledAt(site))
			reload(&bareWith)
			leave()
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(bench.Ratio(with, without), "20000-idle/none(<=2)")
	b.ReportMetric(bench.Median(with), "command-ms-with-20000-idle")
	b.ReportMetric(bench.Median(with)-bench.Median(without), "more-ms-with-20000-idle")
	b.ReportMetric(bench.Median(bareWith)-bench.Median(bareWithout), "more-ms-of-a-bare-reload")
}

// idleFrom is the address of the clients of a process.
func idleFrom(process int) string { return fmt.Sprintf("198.18.0.%d", 10+process) }

// idle connects many clients of a network to an address and returns what has them leave.
func idle(b *testing.B, visitors *rig.Network, addr string) (leave func()) {
	b.Helper()
	var all []func()
	var ready []*bufio.Reader
	for i := range idleProcesses {
		argv := append(visitors.Before(), os.Args[0])
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = append(os.Environ(), idleEnv+"="+addr, idleFromEnv+"="+idleFrom(i))
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		rig.Check(b, err)
		out, err := cmd.StdoutPipe()
		rig.Check(b, err)
		rig.Check(b, cmd.Start())
		ready = append(ready, bufio.NewReader(out))
		all = append(all, func() {
			in.Close()
			_ = cmd.Wait()
		})
	}
	leave = func() {
		for _, one := range all {
			one()
		}
	}
	for _, r := range ready {
		if said, err := r.ReadString('\n'); err != nil {
			leave()
			b.Fatalf("idle clients of %s: %q, %v", addr, said, err)
		}
	}
	return leave
}

// holdIdle is one process of idle: it is there until nothing is to be read any more. Nothing in it wakes up when nginx
// closes a connection, as nothing here would for a client on another machine.
func holdIdle(addr string) error {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return err
	}
	from, err := netip.ParseAddr(os.Getenv(idleFromEnv))
	if err != nil {
		return err
	}
	answer := make([]byte, 1024)
	for range idleClients / idleProcesses {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		// ip(7): the port is chosen when both ends are known.
		if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return err
		}
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: from.As4()}); err != nil {
			return err
		}
		if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}); err != nil {
			return err
		}
		if _, err := unix.Write(fd, []byte("GET /idle HTTP/1.1\r\nHost: "+rig.Hostname+"\r\n\r\n")); err != nil {
			return err
		}
		if n, err := unix.Read(fd, answer); err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 204 ") {
			return fmt.Errorf("%q, %w", answer[:max(n, 0)], err)
		}
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err // and the kernel closes all of them
}
