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

// Draft is what was guessed, and what has to be done for it to be in force.
type Draft struct {
	Text    string // of the configuration
	Lines   []Line // to be added to nginx's files
	confDir string // where the rules go
}

// NewDraft is the draft for the sites that were found, which it takes from conf.
func NewDraft(conf *operator.Config, sites []Site) Draft {
	return Draft{configuration(conf, sites), includes(conf, sites), confDir(conf)}
}

// Backups is where nginx's files are kept as they were.
func (d Draft) Backups() string { return filepath.Join(d.confDir, "backup") }

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

// Put writes the rules, the include lines and, when nginx takes them, the configuration; or it leaves everything as
// it was. Whenever it is killed, nginx has all that it includes, and the next call does the rest.
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
	restore, err := add(p.Lines, p.Backups())
	undo = append(undo, remove, restore)
	if err != nil {
		return err
	}
	if err := p.Test(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(p.File), 0o755); err != nil {
		return err
	}
	return durable.WriteFile(p.File, []byte(p.Text), 0o644)
}
