package maintenance

import (
	"errors"
	"fmt"
	"strings"

	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
	"github.com/msupply-foundation/conforma-status/status"
)

// WriteMetrics writes what is on record, and then the gate's own metrics, to the metrics_file, if there is one. The
// format is Prometheus' text format. The file is replaced by rename, as the node exporter's textfile collector wants
// it.
func (h *Host) WriteMetrics(gate []byte) error {
	if h.Config.MetricsFile == "" {
		return nil
	}
	var errs []error
	lines := map[string][]string{}
	now := h.Clock.Now()
	for _, s := range h.Config.Sites {
		r, known, err := h.Dir().Record(s.Name)
		if err != nil {
			errs = append(errs, err) // the others' are written all the same
		}
		if err != nil || !known {
			continue
		}
		d := r.Document
		add := func(name, labels string, value float64) {
			lines[name] = append(lines[name], fmt.Sprintf("conforma_status_%s{site=%q%s} %g\n", name, s.Name, labels, value))
		}
		for _, m := range status.Modes() {
			add("mode", fmt.Sprintf(",mode=%q", m), number(d.Mode == m))
		}
		lines["since_timestamp_seconds"] = append(lines["since_timestamp_seconds"],
			fmt.Sprintf("conforma_status_since_timestamp_seconds{site=%q} %d\n", s.Name, d.Since.Unix()))
		overdue := 0.0
		if d.Mode.Closed() && d.ExpectedUntil != nil {
			overdue = max(0, now.Sub(*d.ExpectedUntil).Truncate(1e9).Seconds())
		}
		add("overdue_seconds", "", overdue)
		add("unpublished", "", number(r.Unpublished))
	}
	var b strings.Builder
	for _, m := range []struct{ name, help string }{
		{"mode", "1 for the mode that the site is to be in, 0 for the others."},
		{"since_timestamp_seconds", "Since when it is."},
		{"overdue_seconds", "For how long the announced time has passed while the site is closed."},
		{"unpublished", "1 while visitors are not told yet."},
	} {
		if len(lines[m.name]) > 0 {
			fmt.Fprintf(&b, "# HELP conforma_status_%[1]s %[2]s\n# TYPE conforma_status_%[1]s gauge\n%[3]s", m.name, m.help, strings.Join(lines[m.name], ""))
		}
	}
	b.Write(gate)
	if err := durable.WriteFile(h.Config.MetricsFile, []byte(b.String()), 0o644); err != nil {
		errs = append(errs, fmt.Errorf("write the metrics: %w", err))
	}
	return errors.Join(errs...)
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
