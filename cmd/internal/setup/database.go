package setup

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// settledScript is the package's, which asks PostgreSQL whether it is idle.
const settledScript = "/usr/share/conforma-status/settled-postgres.sh"

// database is the command that asks a site's database whether it is idle, nil where it isn't known; and whether it
// answered.
type database struct {
	settled  []string
	answered bool
}

// FindDatabases finds where each Conforma keeps its data. run runs a command; several may run at once. PostgreSQL is in
// the application's container. Compose names that by project, service and number, and Conforma's launch script names
// the project by site and port.
func FindDatabases(ctx context.Context, sites []Site, run func(ctx context.Context, argv []string) error) {
	var asked sync.WaitGroup // all at once: a Docker that hangs is waited for once
	defer asked.Wait()
	for i := range sites {
		s := &sites[i]
		if s.env.path == "" {
			continue
		}
		container := fmt.Sprintf("conforma-%s-on-%s-app-1", s.env.name(), s.env.port)
		s.database.settled = []string{settledScript, "docker", "exec", "-i", container, "psql", "-U", "postgres", "tmf_app_manager"}
		// "docker exec" is refused where there is no such container. A database that is at work answers as well.
		ask := append(slices.Clone(s.database.settled[1:]), "-X", "-w", "-q", "-c", "SELECT 1")
		asked.Go(func() { s.database.answered = run(ctx, ask) == nil })
	}
}

// lines are those of the site's settled.
func (d database) lines() []string {
	if d.settled == nil {
		return nil
	}
	setting := "settled   = " + list(d.settled)
	if d.answered {
		return []string{setting + "    # its database answered"}
	}
	return []string{"# " + setting, "# CHANGE: the database didn't answer there. Name its container, and take the # away: without it nobody can tell whether",
		"# the application still works on what a closing had to cut (a WebSocket, for one), and such a closing ends in exit code 4."}
}
