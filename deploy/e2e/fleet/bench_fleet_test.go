package fleet

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/bench"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/s3server"
)

// BenchmarkFiveHosts measures set on five hosts that look at the switch, in an S3 server, each second: the command
// from its start to its end, by when each host has written its receipt.
func BenchmarkFiveHosts(b *testing.B) {
	const rounds = 3
	m := newMembersOf(b, 5, members{poll: "1s", s3: s3server.Start(b)})
	m.follow(b)
	var closing, opening []float64
	for b.Loop() {
		for range rounds {
			began := time.Now()
			m.hosts[0].CLI(b, "set", "offline").Want(b, 0)
			closing = append(closing, time.Since(began).Seconds())
			began = time.Now()
			m.hosts[0].CLI(b, "set", "online").Want(b, 0)
			opening = append(opening, time.Since(began).Seconds())
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(bench.Median(closing), "closing-last-receipt-s(<=3)")
	b.ReportMetric(bench.Median(opening), "opening-last-receipt-s(<=3)")
}

// BenchmarkOneHost compares what a closing takes on a host of a fleet with what it takes on a host alone: from the
// moment that the site is shut to the one since which it is safe.
func BenchmarkOneHost(b *testing.B) {
	const rounds = 7
	alone := rig.NewSingle(b)
	alone.Install(b)
	m := newMembers(b, 1)
	m.follow(b)
	both := []*rig.Single{alone, m.hosts[0]}
	took := map[*rig.Single][]float64{}
	for b.Loop() {
		for range rounds {
			for _, h := range both {
				h.CLI(b, "set", "offline").Want(b, 0)
				took[h] = append(took[h], closingTook(b, h).Seconds()*1000)
				h.CLI(b, "set", "online").Want(b, 0)
			}
			both[0], both[1] = both[1], both[0] // so that none always comes after the other
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(bench.Median(took[m.hosts[0]])/bench.Median(took[alone]), "fleet/alone(<=1.05)")
	b.ReportMetric(bench.Median(took[alone]), "alone-ms")
}

// closingTook is how long the last closing of a host took, by its record.
func closingTook(b *testing.B, h *rig.Single) time.Duration {
	b.Helper()
	closed, err := os.Stat(h.ClosedFile())
	if err != nil {
		b.Fatal(err)
	}
	var record struct{ SafeSince time.Time }
	if err := json.Unmarshal([]byte(rig.ReadFile(b, filepath.Join(h.State, "records", rig.SingleSite+".json"))), &record); err != nil {
		b.Fatal(err)
	}
	return record.SafeSince.Sub(closed.ModTime())
}

// BenchmarkHundredHosts has a hundred agents in one process follow a switch in an S3 server, which they look at every
// 5 seconds. They are the product's, so the process is of its package's tests.
func BenchmarkHundredHosts(b *testing.B) {
	srv := s3server.Start(b)
	srv.CreateBucket(b, "maintenance")
	srv.CreatePrivateBucket(b, "receipts")
	tests := filepath.Join(rig.Dir(b), "agents")
	run := func(dir string, env []string, argv ...string) string {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			b.Fatalf("%v: %v\n%s", argv, err, out)
		}
		return string(out)
	}
	run(rig.Source(), nil, "go", "test", "-c", "-vet=off", "-o", tests, "./cmd/internal/fleet")
	env := []string{"FLEET_S3=" + srv.Endpoint, "FLEET_REGION=" + srv.Region}
	for name, value := range srv.Env() {
		env = append(env, name+"="+value)
	}
	for b.Loop() {
		printed := run(rig.Dir(b), env, tests, "-test.run", "^$", "-test.bench", "^BenchmarkAgents$", "-test.benchtime", "1x")
		_, line, found := strings.Cut(printed, "BenchmarkAgents")
		if !found {
			b.Fatalf("nothing was measured:\n%s", printed)
		}
		line, _, _ = strings.Cut(line, "\n")
		fields := strings.Fields(line)
		for i := 2; i+1 < len(fields); i += 2 { // after the name and the number of repetitions
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				b.Fatalf("%v in %s", err, line)
			}
			b.ReportMetric(value, fields[i+1])
		}
	}
	b.ReportMetric(0, "ns/op")
}
