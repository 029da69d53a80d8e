package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/fleet"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/publishing"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/status"
)

func (a *app) followCommand() *cobra.Command {
	return &cobra.Command{
		Use: "follow", Short: terminal.HelpFollow, Long: terminal.HelpFollowLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.follow(cmd.Context()) },
	}
}

// follower follows the switches of all sites of this host.
type follower struct {
	host   *maintenance.Host
	crew   *crew
	log    *slog.Logger
	agents []*follows
	beat   atomic.Int64 // when it was last seen to go on, in seconds since 1970
}

// follows is one site that is followed.
type follows struct {
	*fleet.Agent
	site     config.Site
	step     fleet.Step      // that is being taken
	doc      status.Document // of that step
	said     string          // what was last logged about it
	reported time.Time       // when it was last told how much is left
}

// follow carries out what is ordered until it is told to stop.
func (a *app) follow(ctx context.Context) error {
	c, err := a.load()
	if err != nil {
		return err
	}
	k, err := crewOf(c)
	if err != nil {
		return err
	}
	h, err := a.host(c)
	if err != nil {
		return err
	}
	a.terminal.Words = terminal.Quiet // a log has a line for each change, and none for each step
	h.Operator, h.Command = "fleet", "follow"
	f := &follower{host: h, crew: k, log: slog.New(slog.NewTextHandler(a.terminal.Err, nil))}
	instance, err := instanceOf(h.Dir())
	if err != nil {
		return err
	}
	for _, s := range c.Sites {
		one := &follows{site: s, Agent: &fleet.Agent{
			Name: s.Name, Path: s.Path, Site: maintenance.FollowedSite{Host: h, Site: s, Deliver: func() { a.deliver(c) }}, Public: h.Store, Private: k.private,
			Key: k.key, Now: time.Now, Meta: maintenance.StatusMeta, SwitchKey: maintenance.StatusKey(s),
		}}
		one.Start(k.host, instance)
		if err := keepPassKey(c, k, s); err != nil {
			return err
		}
		f.agents = append(f.agents, one)
	}
	h.Progress = &drains{Progress: a.terminal, ctx: ctx, follower: f}
	f.log.Info("this host follows its fleet", "host", k.host, "sites", len(f.agents), "poll", c.Fleet.Poll.String())
	return f.run(ctx, c.Fleet.Poll)
}

// run looks at the switches, poll after poll.
func (f *follower) run(ctx context.Context, poll time.Duration) error {
	f.beat.Store(time.Now().Unix())
	go f.watchdog(ctx)
	ready := false
	for {
		f.beat.Store(time.Now().Unix())
		f.round(ctx)
		if !ready {
			notify(daemon.SdNotifyReady)
			ready = true
		}
		if err := (wallClock{}).Sleep(ctx, poll); err != nil {
			notify(daemon.SdNotifyStopping)
			return nil
		}
	}
}

// atMost is how long a change may take until it is taken for hung: it waits for the lock, drains, and asks the
// application.
const atMost = state.LockTimeout + 5*time.Minute

// watchdog tells systemd that it goes on, where systemd wants to hear that (WatchdogSec= in systemd.service(5)).
func (f *follower) watchdog(ctx context.Context) {
	within, err := daemon.SdWatchdogEnabled(false)
	if err != nil || within == 0 {
		return
	}
	for (wallClock{}).Sleep(ctx, within/3) == nil {
		if time.Since(time.Unix(f.beat.Load(), 0)) < atMost {
			notify(daemon.SdNotifyWatchdog)
		}
	}
}

// round looks at all switches, and then does to nginx what there is to do, one mode after the other: what is to close
// comes first.
func (f *follower) round(ctx context.Context) {
	todo := map[status.Mode][]*follows{}
	for _, one := range f.agents {
		step, doc, err := one.Round(ctx)
		if err != nil {
			f.say(one, err)
			continue
		}
		if step.Do != fleet.Apply {
			f.say(one, nil)
			continue
		}
		one.step, one.doc = step, doc
		if err := (maintenance.FollowedSite{Host: f.host, Site: one.site}).Keep(ctx, one.Before(step)); err != nil {
			f.say(one, err)
			continue
		}
		todo[step.Mode] = append(todo[step.Mode], one)
	}
	for _, mode := range strictestFirst() {
		if len(todo[mode]) > 0 {
			f.apply(ctx, mode, todo[mode])
		}
	}
}

// apply brings the sites to a mode.
func (f *follower) apply(ctx context.Context, mode status.Mode, those []*follows) {
	var orders []maintenance.Following
	var sites []config.Site
	for _, one := range those {
		orders = append(orders, maintenance.Following{Site: one.site, Document: one.doc})
		sites = append(sites, one.site)
	}
	if mode.Closed() {
		if err := publishing.Keep(f.host, sites); err != nil {
			f.log.Warn("nginx shows the page as it was before, or none", "error", err)
		}
	}
	locals := f.host.Follow(ctx, mode, orders, defaultDrain)
	for _, one := range those {
		local := locals[one.site.Name]
		err := one.Applied(ctx, one.step, local)
		f.log.Info("ordered", "site", one.site.Name, "order", one.step.Kept.Order, "mode", mode, "is", local.Mode,
			"safe", local.SafeSince != nil, "left", local.Left, "error", local.Error)
		if mode == status.Admin {
			err = errors.Join(err, keepEpoch(f.host.Dir(), f.crew, one.site, one.step.Kept.Order))
		}
		f.say(one, err)
	}
}

// say logs what keeps a site from being followed, once, and that nothing does any more.
func (f *follower) say(one *follows, err error) {
	text := ""
	if err != nil {
		text = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	switch {
	case text == one.said:
		return
	case err == nil:
		f.log.Info("the switch is followed again", "site", one.site.Name)
	default:
		f.log.Error("the switch can't be followed", "site", one.site.Name, "error", text)
	}
	one.said = text
}

// drains tells whoever waits for a host how much there is left on it.
type drains struct {
	maintenance.Progress
	ctx      context.Context
	follower *follower
}

// How often a host that drains tells so, and how long that may take.
const (
	drainingEvery = 2 * time.Second
	drainingBound = time.Second
)

// Draining is part of maintenance.Progress.
func (d *drains) Draining(site string, left workers.Remaining, after, atMost time.Duration) {
	for _, one := range d.follower.agents {
		if one.site.Name != site || one.step.Do != fleet.Apply || time.Since(one.reported) < drainingEvery {
			continue
		}
		one.reported = time.Now()
		ctx, cancel := context.WithTimeout(d.ctx, drainingBound)
		_ = one.Agent.Draining(ctx, one.step, len(left.Connections)) // the receipt itself comes once it is drained
		cancel()
	}
	d.Progress.Draining(site, left, after, atMost)
}

// instanceOf is a random word that names this machine in its receipts. A copy of its disk, or of its state directory,
// gets another word.
func instanceOf(dir state.Dir) (string, error) {
	if err := state.MakeDirs(string(dir)); err != nil {
		return "", err
	}
	machine, err := machineOf(dir)
	if err != nil {
		return "", err
	}
	i := dir.Instance()
	if i.ID != "" && i.Machine == machine {
		return i.ID, nil
	}
	i = state.Instance{ID: rand.Text(), Machine: machine}
	return i.ID, dir.WriteInstance(i)
}

// machineOf is what two machines don't have in common: the identity of the hardware, where there is one, that of the
// system, and the place of the state directory.
func machineOf(dir state.Dir) (string, error) {
	info, err := os.Stat(string(dir))
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, file := range []string{"/sys/class/dmi/id/product_uuid", "/etc/machine-id"} { // smbios, machine-id(5)
		id, _ := os.ReadFile(file)
		fmt.Fprintf(sum, "%q", strings.TrimSpace(string(id)))
	}
	path, err := filepath.EvalSymlinks(string(dir))
	if err != nil {
		return "", err
	}
	inode := uint64(0)
	if s, is := info.Sys().(*syscall.Stat_t); is {
		inode = s.Ino
	}
	fmt.Fprintf(sum, "%q %d", path, inode)
	return hex.EncodeToString(sum.Sum(nil)[:16]), nil
}

// derived is a secret that all hosts of a fleet make of its key: for that purpose, that site and that order.
func derived(key gate.Secret, purpose, site string, order uint64) []byte {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%q %q %d", purpose, site, order)
	return mac.Sum(nil)
}

// keepPassKey writes what the passes of a site without a [site.jwt] are made with: it is the same on all hosts.
func keepPassKey(c *config.Config, k *crew, s config.Site) error {
	if s.JWT != nil {
		return nil
	}
	path, _ := secretFile(c, s)
	text := hex.EncodeToString(derived(k.key, "fleet pass key 1", s.Name, 0)) + "\n"
	if was, err := os.ReadFile(path); err == nil && string(was) == text {
		return nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keep the key of the passes of %s: %w", s.Name, err)
	}
	if err := state.MakeDirs(filepath.Dir(path)); err != nil {
		return err
	}
	if err := durable.ReplaceFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("keep the key of the passes of %s: %w", s.Name, err)
	}
	return nil
}

// keepEpoch writes what the passes of one order have in common: they are good on all hosts, until the next order.
func keepEpoch(dir state.Dir, k *crew, s config.Site, order uint64) error {
	epoch := base32.StdEncoding.EncodeToString(derived(k.key, "fleet passes 1", s.Name, order))[:26]
	if _, err := state.Replace(dir.EpochFile(s.Name), []byte(epoch+"\n")); err != nil {
		return fmt.Errorf("keep the epoch of the passes of %s: %w", s.Name, err)
	}
	return nil
}
