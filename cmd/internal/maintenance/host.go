// Package maintenance moves a site from one mode to another: what steps that takes, their order, and the receipt.
package maintenance

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path"
	"slices"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// How long the parts of a change may take at most. A change that waits longer than one of these has failed.
const (
	announceTimeout = 5 * time.Second  // to publish before closing; a store that hangs must not keep the site open
	publishTimeout  = 15 * time.Second // to publish at any other time
	shutTimeout     = time.Second      // for nginx to see the closed file
	takeUpTimeout   = 10 * time.Second // for nginx to serve the new rules after a reload
	cutTimeout      = 5 * time.Second  // for what was cut to be gone
	softTimeout     = time.Second      // for a worker that was told to end to do so, before it is made to
)

// Nginx is the nginx of this host. control.Nginx is the real one.
type Nginx interface {
	Test(ctx context.Context) error
	Reload(ctx context.Context) error
	Config(ctx context.Context) (*operator.Config, error)
	Modules(ctx context.Context) ([]string, error)
	Master() (int, error)
}

// Sockets looks at, and ends, what nginx's workers hold. workers.Sockets is the real one.
type Sockets interface {
	Program(pid int) (string, error)
	Snapshot(master int) (workers.Snapshot, error)
	Remaining(before workers.Snapshot, scope workers.Scope) (workers.Remaining, error)
	RemainingOf(before workers.Snapshot, scopes []workers.Scope) ([]workers.Remaining, error)
	Held(before workers.Snapshot) (int, error)
	Busy(before workers.Snapshot, scopes []workers.Scope) (bool, error)
	Destroy(c workers.Connection) error
	ShutDown(p workers.Process) error
	End(p workers.Process, hard bool) error
}

// Host is this machine: its sites, its nginx, and the store they publish to.
type Host struct {
	Config  *config.Config
	Store   store.Store
	Nginx   Nginx
	Sockets Sockets
	// Kernel is nil where there is no kernel barrier.
	Kernel Kernel
	// Settled runs a site's own command that exits 0 once its application is idle.
	Settled   func(ctx context.Context, argv []string) error
	Probe     func(context.Context, operator.Target) (control.Answer, error)
	FetchPage func(ctx context.Context, t operator.Target, path, door string) (control.Page, error)
	Clock     state.Clock
	// Timer has reconcile run at these moments, and at no others that it was given before. It is nil where nothing does.
	Timer    func(ctx context.Context, moments []time.Time) error
	Progress Progress
	// Fellows are the hosts of its fleet, nil where there is none, or they can't be asked.
	Fellows  Fellows
	Operator string // who is at work, for the record; a user name
	Command  string // what they typed, for the one who waits for the lock
}

// Progress hears what is being done, as it is done. It is called from one goroutine.
type Progress interface {
	// Begin says that a step begins. Sites are those concerned.
	Begin(step Step, sites []string)
	// End says that it ended, after how long, and why it failed, nil if it didn't.
	End(step Step, took time.Duration, err error)
	// Draining says what there still is of a site, after how long, and how long it may take.
	Draining(site string, left workers.Remaining, after, atMost time.Duration)
	// Grace says that an application is given time for what nobody waits for any more, after how long, and how long
	// it takes.
	Grace(after, atMost time.Duration)
	// Resuming says that an interrupted change of these sites is finished first.
	Resuming(sites []string)
	// SetAside says that a file that can't be understood was moved, and why.
	SetAside(path string, why error)
	// Waiting says for whom the lock is waited for.
	Waiting(holder state.Holder)
}

// Dir is this host's state directory.
func (h *Host) Dir() state.Dir { return state.Dir(h.Config.StateDir) }

// onRecord are the sites that this machine has a record of, with it, but for those whose record can't be read.
func (h *Host) onRecord() iter.Seq2[config.Site, state.Record] {
	return func(yield func(config.Site, state.Record) bool) {
		for _, s := range h.Config.Sites {
			if r, known, err := h.Dir().Record(s.Name); err == nil && known && !yield(s, r) {
				return
			}
		}
	}
}

// recordOf is the record of a site. One that this machine has none of is online: known is false then.
func (h *Host) recordOf(s config.Site) (r state.Record, known bool, err error) {
	if r, known, err = h.Dir().Record(s.Name); err == nil && !known {
		r.Document = firstDocument(s, h.now())
	}
	return r, known, err
}

// isNamed returns whether a site has that name.
func isNamed(name string) func(config.Site) bool {
	return func(s config.Site) bool { return s.Name == name }
}

// now is the time to the second, as documents have it.
func (h *Host) now() time.Time { return h.Clock.Now().UTC().Truncate(time.Second) }

// moment is the time to the millisecond, as the history and receipts have it.
func (h *Host) moment() time.Time { return h.Clock.Now().UTC().Truncate(time.Millisecond) }

// lock makes this the only change on this host until unlock is called.
func (h *Host) lock(ctx context.Context) (unlock func(), err error) {
	me := state.Holder{PID: os.Getpid(), Operator: h.Operator, Command: h.Command}
	return h.Dir().Lock(ctx, h.Clock, me, h.Progress.Waiting)
}

// lockIfAny is lock where there is a state directory; without one there is no record to keep others from.
func (h *Host) lockIfAny(ctx context.Context) (unlock func(), err error) {
	if !h.Dir().Exists() {
		return func() {}, nil
	}
	return h.lock(ctx)
}

// rules is what a site's rules are made of, with the given door or none.
func (h *Host) rules(s config.Site, door string) nginxconf.Site {
	return nginxconf.Site{
		Name: s.Name, Dir: h.Dir().SiteDir(s.Name), AppURL: s.AppURL, PageURL: s.PageURL,
		Preset: s.Preset, LoginPaths: s.LoginPaths, Allows: len(s.Allow) > 0, Door: door, Modules: h.Dir().Modules(),
		ShowsPage: s.ShowsPage(), Worker: s.Worker(), Window: h.window(s.Name),
	}
}

// rulesInPlace are a site's rules as nginx would read them, nil where there are none.
func (h *Host) rulesInPlace(s config.Site) ([]byte, error) {
	data, err := os.ReadFile(nginxconf.SiteFile(h.Config.Nginx.ConfDir, s.Name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read the rules in place: %w", err)
	}
	return data, nil
}

// learnModules notes which modules nginx has for the rules to use. If nginx can't be asked, for example in a container
// that is stopped, what was noted before holds. If the state directory can't be written, another step reports that.
// changed is whether something else was noted before.
func (h *Host) learnModules(ctx context.Context) (changed bool) {
	modules, err := h.Nginx.Modules(ctx)
	if err != nil {
		return false
	}
	before := h.Dir().Modules()
	return h.Dir().WriteModules(modules) == nil && !slices.Equal(before, modules)
}

// Target is where the nginx of a site is asked.
func Target(s config.Site) operator.Target {
	return operator.Target{Site: s.Name, Addr: s.Listen, URL: s.AppURL}
}

// StatusKey is where a site's status document lies in the store.
func StatusKey(s config.Site) string { return path.Join(s.Path, status.FileName) }

// StatusMeta is how the status document is served: revalidated at each poll.
var StatusMeta = store.Meta{ContentType: "application/json; charset=utf-8", CacheControl: "no-cache"}
