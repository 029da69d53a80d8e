package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
)

// Draft is what has to be done for sites to be under nginx's control.
type Draft struct {
	Text    string // of the configuration, "" where there is one already
	Sites   int    // how many there are in it
	Lines   []Line // to be added to nginx's files
	confDir string // where the rules go
	main    string // nginx's main configuration file
	in      Container
}

// NewDraft is the draft for the sites that were found; it takes them from conf. A site that would make the
// configuration invalid is written as a comment. In is the container that nginx runs in, if any.
func NewDraft(conf *operator.Config, found []Site, in Container) Draft {
	found = fit(conf, found)
	var chosen []wanted
	for _, s := range found {
		if s.chosen {
			chosen = append(chosen, wanted{s.name, s.servers})
		}
	}
	dir := confDir(conf)
	return Draft{configuration(conf, found, in), len(chosen), missing(conf, dir, chosen), dir, conf.Main, in}
}

// Complete is the draft of what a configuration that is there, edited by hand perhaps, still misses in conf.
func Complete(conf *operator.Config, c *config.Config, in Container) Draft {
	dir := c.Nginx.ConfDir
	return Draft{"", len(c.Sites), missing(conf, dir, configured(conf, c)), dir, conf.Main, in}
}

// Backups is where nginx's files are kept as they were.
func (d Draft) Backups() string { return backups(d.main) }

// backups is beside nginx's main configuration file, wherever the rules go.
func backups(main string) string {
	return filepath.Join(filepath.Dir(main), "conforma-status", "backup")
}

// Vacant reports whether there is no configuration in a file yet. The error is of the file.
func Vacant(file string) (bool, error) {
	was, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return config.Empty(was), err
}

// Placement puts a draft in place.
type Placement struct {
	Draft
	File  string                      // of the configuration
	Rules map[string][]byte           // by path below where the rules go
	Test  func(context.Context) error // has nginx read everything
	Warn  func(text string)           // is told what can't be put back
}

// Put writes the rules, the include lines and, if nginx accepts them, the configuration; otherwise it leaves everything
// as it was. Whenever it is killed, nginx has every file that it includes, and the next call does the rest. The error
// may wrap ErrClosed and ErrNotMounted.
func (p Placement) Put(ctx context.Context) (err error) {
	var undo []func() error
	defer func() {
		if err == nil {
			return
		}
		for _, step := range slices.Backward(undo) {
			if undone := step(); undone != nil {
				p.Warn(undone.Error())
			}
		}
	}()
	if err := p.mounted(); err != nil {
		return err
	}
	for _, l := range p.Lines {
		if err := open(l.Instead); l.Instead != "" && err != nil {
			return err
		}
	}
	if _, missing := os.Lstat(p.confDir); errors.Is(missing, fs.ErrNotExist) {
		undo = append(undo, func() error { return os.RemoveAll(p.confDir) })
	}
	rules := map[string][]byte{}
	for path, data := range p.Rules {
		rules[filepath.Join(p.confDir, path)] = data
	}
	remove, err := nginxconf.Install(rules)
	if err != nil {
		return fmt.Errorf("put the rules in place: %w", err)
	}
	undo = append(undo, remove)
	forget, err := p.note()
	if err != nil {
		return fmt.Errorf("keep nginx's files: %w", err)
	}
	restore, err := add(p.Lines, p.Backups())
	undo = append(undo, forget, restore)
	if err != nil {
		return err
	}
	if err := p.Test(ctx); err != nil || p.Text == "" {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(p.File), 0o755); err != nil {
		return err
	}
	return durable.WriteFile(p.File, []byte(p.Text), 0o644)
}
