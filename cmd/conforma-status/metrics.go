package main

import (
	"context"
	"io"
	"net/http"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
)

// metrics brings the textfile of the node exporter up to date; a gate that doesn't answer is left out of it.
func (a *app) metrics(ctx context.Context, c *config.Config, h *maintenance.Host) {
	if c.MetricsFile == "" {
		return
	}
	gate, _ := gateMetrics(ctx, c.Gate.Socket)
	if err := h.WriteMetrics(gate); err != nil {
		a.ui.warn(err.Error())
	}
}

// gateMetrics are the gate's own.
func gateMetrics(ctx context.Context, socket string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, gateTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://gate/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := gateClient(socket).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, nil // an older one
	}
	return io.ReadAll(io.LimitReader(resp.Body, 1<<20))
}
