package maintenance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
)

// Rendered is what the rules of the modes on record look like, by path below the directory that they are for.
func (h *Host) Rendered() (map[string][]byte, error) {
	http, err := h.httpConf(config.SiteNames(h.Config.Sites))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{nginxconf.HTTPFile(""): http}
	for _, s := range h.Config.Sites {
		r, _, err := h.recordOf(s)
		if err != nil {
			return nil, err
		}
		if files[nginxconf.SiteFile("", s.Name)], err = h.rulesOnRecord(s, r); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// rulesOnRecord renders the rules that are to be in place by the record of a site.
func (h *Host) rulesOnRecord(s config.Site, r state.Record) ([]byte, error) {
	rules := h.rules(s, r.Door)
	if r.Revision == "" { // of a site that was never changed
		var err error
		if r.Revision, err = rules.Revision(r.Document.Mode, r.Changes); err != nil {
			return nil, err
		}
	}
	return rules.Render(r.Document.Mode, r.Revision)
}

// ErrInterrupted is returned (wrapped) where an interrupted change has to be finished first.
var ErrInterrupted = errors.New("a change was interrupted")

// Render writes the rules of the modes on record below dir, and returns the paths of the files that it changed. Where
// the record doesn't say which rules are to be in use, it writes nothing, and the error wraps ErrInterrupted.
func (h *Host) Render(ctx context.Context, dir string) ([]string, error) {
	if dir != h.Config.Nginx.ConfDir {
		return h.render(dir)
	}
	var paths []string
	err := h.Alone(ctx, func() (err error) {
		h.learnModules(ctx)
		paths, err = h.render(dir)
		return err
	})
	if errors.Is(err, ErrInterrupted) {
		err = fmt.Errorf("render: %w", err)
	}
	return paths, err
}

// Alone calls do while nothing else can change a site of this host. The error is do's, or wraps ErrInterrupted where a
// change was interrupted, and do is not called.
func (h *Host) Alone(ctx context.Context, do func() error) error {
	unlock, err := h.lockIfAny(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if in, err := h.Dir().Interrupted(); err != nil {
		return err
	} else if in != nil {
		return ErrInterrupted
	}
	return do()
}

// ClosedSites are the names of the sites that aren't online, by their record or their closed file.
func (h *Host) ClosedSites() (names []string, err error) {
	for _, s := range h.Config.Sites {
		r, known, err := h.Dir().Record(s.Name)
		if err != nil {
			return nil, err
		}
		if known && r.Document.Mode.Closed() || h.Dir().IsShut(s.Name) {
			names = append(names, s.Name)
		}
	}
	return names, nil
}

func (h *Host) render(dir string) ([]string, error) {
	files, err := h.Rendered()
	if err != nil {
		return nil, err
	}
	var paths []string
	for path, data := range files {
		path = filepath.Join(dir, path)
		if was, err := os.ReadFile(path); err == nil && bytes.Equal(was, data) {
			continue
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return paths, err
		}
		if err := state.MakeDirs(filepath.Dir(path)); err != nil {
			return paths, err
		}
		if err := durable.WriteFile(path, data, 0o644); err != nil {
			return paths, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}
