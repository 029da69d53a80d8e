package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/doctor"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

func (a *app) doctorCommand() *cobra.Command {
	var which selection
	cmd := &cobra.Command{
		Use: "doctor", Short: terminal.HelpDoctor, Long: terminal.HelpDoctorLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, faults, err := config.Load(a.configurationFile())
			if err != nil {
				return unreadable(err)
			}
			chosen, err := which.orAll().of(c)
			if err != nil {
				return err
			}
			h, err := a.host(c)
			if err != nil {
				return err
			}
			a.terminal.Examining(chosen)
			findings := doctor.Doctor{
				Host: h, Sites: chosen, Faults: faults,
				Nginx:     nginxOf(c),
				Listening: workers.Sockets{}.Listening,
				Free:      doctor.Free,
				Secret:    func(s config.Site) ([]gate.Secret, error) { return secretSource(c, s)() },
				Ask:       gate.Client{Socket: c.Gate.Socket}.Check,
				Now:       time.Now,
				UID:       os.Geteuid(), AtMost: doctor.AtMost,
			}.Examine(cmd.Context())
			if cmd.Context().Err() != nil { // interrupted: half an examination says nothing
				return failed(fmt.Errorf("examine this host: %w", control.ErrInterrupted))
			}
			a.terminal.Findings(chosen, findings)
			if doctor.Worst(findings) == doctor.Fault {
				return said(exitDrift)
			}
			return nil
		},
	}
	which.flags(cmd)
	a.jsonFlag(cmd)
	return cmd
}
