package setup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
)

// ErrNothingWritten is returned (wrapped) where nothing is on record that could be taken back.
var ErrNothingWritten = errors.New("there is nothing that init --write has put in place")

// ErrClosed is returned (wrapped) where a site would be open without its rules.
var ErrClosed = errors.New("without its rules nginx would open it")

// written is what was put in place, all of it or as far as Put came. It lies among the backups.
type written struct {
	Version int           `json:"version"`
	Lines   []writtenLine `json:"lines"`
	Config  *writtenFile  `json:"config"` // null where there was one already
}

type writtenLine struct {
	File string `json:"file"` // without symbolic links
	Text string `json:"text"`
}

type writtenFile struct {
	Path string  `json:"path"`
	Was  *string `json:"was"`  // null where there was no file
	Hash string  `json:"hash"` // of what was written, SHA-256 in hexadecimal
}

const writtenVersion = 1

func writtenAt(backups string) string { return filepath.Join(backups, "written.json") }

func readWritten(backups string) (w written, there bool, err error) {
	data, err := os.ReadFile(writtenAt(backups))
	if errors.Is(err, fs.ErrNotExist) {
		return written{Version: writtenVersion}, false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &w)
	}
	if err == nil && w.Version != writtenVersion {
		err = fmt.Errorf("version %d, want %d", w.Version, writtenVersion)
	}
	if err != nil {
		return w, false, fmt.Errorf("read what init --write has put in place: %w", err)
	}
	return w, true, nil
}

// note notes what is about to be put in place, beside what was put there before. It returns what takes that back.
func (p Placement) note() (forget func() error, err error) {
	w, there, err := readWritten(p.Backups())
	if err != nil {
		return nil, err
	}
	was := w
	forget = func() error {
		if there {
			return was.write(p.Backups())
		}
		err := os.Remove(writtenAt(p.Backups()))
		_ = os.Remove(p.Backups()) // unless there is more in it
		return err
	}
	for _, l := range p.Lines {
		path, err := filepath.EvalSymlinks(l.At.File)
		if err != nil {
			return nil, err
		}
		if line := (writtenLine{path, l.Text}); !slices.Contains(w.Lines, line) {
			w.Lines = append(slices.Clip(w.Lines), line)
		}
	}
	if p.Text != "" {
		w.Config = &writtenFile{Path: p.File, Hash: hash([]byte(p.Text))}
		if data, err := os.ReadFile(p.File); err == nil {
			text := string(data)
			w.Config.Was = &text
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if err := os.MkdirAll(p.Backups(), 0o755); err != nil {
		return nil, err
	}
	return forget, w.write(p.Backups())
}

func (w written) write(backups string) error {
	data, err := json.MarshalIndent(w, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(writtenAt(backups), append(data, '\n'), 0o644)
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Undone is what was taken back.
type Undone struct {
	Lines  []string // "FILE: include …", those that were there
	Config string   // the path of the configuration, "" where it wasn't written by init
	Kept   bool     // the configuration was edited since, and stays
	Rules  []string // the files of rules that nothing includes any more, and that are gone
}

// Undoing takes back what Placement.Put did. All fields are needed.
type Undoing struct {
	Main string // nginx's main configuration file
	Test func(context.Context) error
	Read func(context.Context) (*operator.Config, error) // nginx's configuration as it is then
	Warn func(text string)                               // is told what can't be put back
}

// Do takes the include lines out of nginx's files, whatever else was edited in them since, and tests the rest. It
// removes the rules that nothing includes any more, and puts the configuration back as it was, unless that was edited.
// If nginx refuses the result, it changes nothing. The error may wrap ErrNothingWritten or ErrClosed.
func (u Undoing) Do(ctx context.Context) (out Undone, err error) {
	dir := backups(u.Main)
	w, there, err := readWritten(dir)
	if err != nil {
		return out, err
	}
	if !there {
		return out, fmt.Errorf("%w (%s)", ErrNothingWritten, dir)
	}
	rules := w.rules()
	for _, file := range rules {
		if err := open(file); err != nil {
			return out, err
		}
	}
	restore, err := u.takeOut(w.Lines, &out)
	if err == nil {
		err = u.Test(ctx)
	}
	var conf *operator.Config
	if err == nil {
		conf, err = u.Read(ctx)
	}
	if err != nil {
		for _, back := range restore {
			if err := back(); err != nil {
				u.Warn(err.Error())
			}
		}
		return Undone{}, err
	}
	if err := w.Config.undo(&out); err != nil {
		return out, err
	}
	for _, file := range rules {
		if conf.Includes(file) {
			continue
		}
		if err := nginxconf.Remove(file); err != nil {
			return out, err
		}
		out.Rules = append(out.Rules, file)
	}
	if err := os.RemoveAll(dir); err != nil {
		return out, err
	}
	_ = os.Remove(filepath.Dir(dir))
	return out, nil
}

// open is an error where a file has rules that keep a site closed.
func open(file string) error {
	data, err := os.ReadFile(file)
	if mode, _ := nginxconf.ReadHeader(data); err == nil && mode != "" && mode.Closed() {
		return fmt.Errorf("%s is %s: %w", strings.TrimSuffix(filepath.Base(file), ".conf"), mode, ErrClosed)
	}
	return nil
}

// rules are the files that the lines include.
func (w written) rules() (files []string) {
	for _, l := range w.Lines {
		if file := strings.TrimSuffix(strings.TrimPrefix(l.Text, "include "), ";"); !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	slices.SortFunc(files, func(a, b string) int { return len(b) - len(a) }) // sites/NAME.conf before http.conf: directories empty from within
	return files
}

// takeOut takes the lines out of their files. It returns what puts them back.
func (u Undoing) takeOut(lines []writtenLine, out *Undone) (restore []func() error, err error) {
	for _, l := range lines {
		data, err := os.ReadFile(l.File)
		if errors.Is(err, fs.ErrNotExist) {
			continue // and the line with it
		}
		if err != nil {
			return restore, err
		}
		info, err := os.Stat(l.File)
		if err != nil {
			return restore, err
		}
		text := remove(string(data), l.Text)
		if text == string(data) {
			continue
		}
		if err := durable.ReplaceFile(l.File, []byte(text), info.Mode().Perm()); err != nil {
			return restore, fmt.Errorf("take the include lines out: %w", err)
		}
		out.Lines = append(out.Lines, l.File+": "+l.Text)
		restore = append([]func() error{func() error { return durable.ReplaceFile(l.File, data, info.Mode().Perm()) }}, restore...)
	}
	return restore, nil
}

// remove takes a line out of a text. If the line is as insert added it, the result is the earlier text byte for byte.
// It also finds a line that was moved or indented otherwise since.
func remove(text, line string) string {
	text = strings.ReplaceAll(text, inserted(line), "")
	rows := strings.SplitAfter(text, "\n")
	return strings.Join(slices.DeleteFunc(rows, func(row string) bool { return strings.TrimSpace(row) == line }), "")
}

// undo puts the file back as it was, unless it was edited since.
func (f *writtenFile) undo(out *Undone) error {
	if f == nil {
		return nil
	}
	data, err := os.ReadFile(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	out.Config = f.Path
	switch {
	case hash(data) != f.Hash:
		out.Kept = true
		return nil
	case f.Was == nil:
		return os.Remove(f.Path)
	}
	return durable.WriteFile(f.Path, []byte(*f.Was), 0o644)
}
