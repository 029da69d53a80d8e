package main

import (
	"context"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/doctor"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

func (a *app) doctorCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "doctor", Short: helpDoctor, Long: helpDoctorLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.ui.json = asJSON
			c, faults, err := config.Load(a.configurationFile())
			if err != nil {
				return unreadable(err)
			}
			h, err := a.host(c)
			if err != nil {
				return err
			}
			findings := doctor.Doctor{
				Host: h, Faults: faults,
				Nginx:     control.Nginx{TestCommand: c.Nginx.Test, ReloadCommand: c.Nginx.Reload, PIDFile: c.Nginx.PIDFile},
				Listening: workers.Sockets{}.Listening,
				Free:      doctor.Free,
				Secret:    func(s config.Site) ([]gate.Secret, error) { return secretSource(s)() },
				Ask: func(ctx context.Context, site, token string) (int, error) {
					return askGate(ctx, c.Gate.Socket, site, token)
				},
				Now: time.Now,
				UID: os.Geteuid(), AtMost: doctor.AtMost,
			}.Examine(cmd.Context())
			if cmd.Context().Err() != nil { // interrupted: half an examination says nothing
				return &coded{code: exitFailed, err: errSaid}
			}
			a.ui.findings(c.Sites, findings)
			if doctor.Worst(findings) == doctor.Fault {
				return &coded{code: exitDrift, err: errSaid}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, helpJSON)
	return cmd
}

// askGate asks the gate about a token as nginx does, and returns the status of its answer.
func askGate(ctx context.Context, socket, site, token string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, gateTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://gate/check/"+site, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := gateClient(socket).Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
