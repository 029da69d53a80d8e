package main

import (
	"context"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
)

// metrics brings the textfile of the node exporter up to date; a gate that doesn't answer is left out of it.
func (a *app) metrics(ctx context.Context, c *config.Config, h *maintenance.Host) {
	if c.MetricsFile == "" {
		return
	}
	ofGate, _ := gate.Client{Socket: c.Gate.Socket}.Metrics(ctx)
	if err := h.WriteMetrics(ofGate); err != nil {
		a.terminal.Warn(err.Error())
	}
}
