//go:build soak

package host

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestSoakMetricsFileSaysWhatHolds has Prometheus' own parser read what the gate answers and what the node exporter is
// given.
func TestSoakMetricsFileSaysWhatHolds(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	file := filepath.Join(s.Nginx.Dir, "textfile", "conforma-status.prom")
	rig.Check(t, os.Mkdir(filepath.Dir(file), 0o755))
	s.EditConfig(t, "page_url", "metrics_file = \""+file+"\"\npage_url")
	s.Install(t)
	s.StartGate(t)
	s.CLI(t, "doctor") // asks the gate about two tokens: an administrator's, and anybody's
	s.CLI(t, "set", "admin", "--eta", "1h").Want(t, 0)
	s.Client().Do(t, rig.Message{Method: "POST", Target: "/server/graphql", Header: []string{"Authorization: Bearer x.y.z"}})
	s.CLI(t, "reconcile").Want(t, 0)

	gate := map[string]float64{"conforma_status_gate_admitted_total": 1, "conforma_status_gate_refused_total": 2}
	socket := http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", s.Socket())
	}}}
	resp, err := socket.Get("http://gate/metrics")
	rig.Check(t, err)
	defer resp.Body.Close()
	if format := expfmt.ResponseFormat(resp.Header); format.FormatType() != expfmt.TypeTextPlain {
		t.Errorf("it comes as %q", resp.Header.Get("Content-Type"))
	}
	exposes(t, resp.Body, gate)

	all := map[string]float64{
		"conforma_status_mode": 1, "conforma_status_overdue_seconds": 0, "conforma_status_unpublished": 0,
		"conforma_status_since_timestamp_seconds": float64(rig.ParseStatus(t, s.Published(t, "demo")).Since.Unix()),
	}
	for name, value := range gate {
		all[name] = value
	}
	exposes(t, strings.NewReader(rig.ReadFile(t, file)), all)
	info, err := os.Stat(file)
	rig.Check(t, err)
	if info.Mode().Perm() != 0o644 {
		t.Errorf("the node exporter, another user, may not read it: %v", info.Mode())
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*"))
	rig.Check(t, err)
	if len(left) != 1 {
		t.Errorf("beside it lies %v", left)
	}
}

// exposes fails the test unless r has just these metrics, with these values added up over their labels, each with a
// help and a type, counters named as such.
func exposes(t *testing.T, r io.Reader, want map[string]float64) {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(r)
	if err != nil {
		t.Fatalf("Prometheus can't read it: %v", err)
	}
	for name, f := range families {
		var sum float64
		for _, m := range f.Metric {
			sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			if len(m.Label) == 0 || m.Label[0].GetName() != "site" || m.Label[0].GetValue() != "demo" {
				t.Errorf("%s: the labels are %v", name, m.Label)
			}
		}
		if value, ok := want[name]; !ok || value != sum {
			t.Errorf("%s is %v, want %v (%v)", name, sum, value, ok)
		}
		if counter := f.GetType() == dto.MetricType_COUNTER; f.GetHelp() == "" || counter != strings.HasSuffix(name, "_total") {
			t.Errorf("%s is a %v, with the help %q", name, f.GetType(), f.GetHelp())
		}
	}
	if len(families) != len(want) {
		t.Errorf("got %d metrics, want %d", len(families), len(want))
	}
}
