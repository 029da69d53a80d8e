// Package state keeps what this host knows of its sites between two commands: the record of each site, the journal of a
// change that is under way, the lock, the history, and the files of a site that nginx reads at each request.
package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
	"github.com/msupply-foundation/conforma-status/status"
)

// Dir is the path of a host's state directory. It need not exist: whatever is written makes it.
type Dir string

// SiteDir is the directory that nginx reads of a site at each request. Its parents must be open to nginx's workers.
func (d Dir) SiteDir(site string) string { return filepath.Join(string(d), "sites", site) }

// ClosedFile is the file that keeps a site shut for as long as it is there.
func (d Dir) ClosedFile(site string) string {
	return filepath.Join(d.SiteDir(site), nginxconf.ClosedFile)
}

// EpochFile holds what a site's passes have in common (see gate.ReadEpoch). The gate reads it, as a user of its own.
func (d Dir) EpochFile(site string) string { return filepath.Join(string(d), "passes", site) }

// PassKeyFile holds what the passes of a site without a [site.jwt] are made with. Nobody but its owner may read it.
func (d Dir) PassKeyFile(site string) string { return filepath.Join(string(d), "keys", site) }

// Exists reports whether there is a state directory.
func (d Dir) Exists() bool {
	_, err := os.Stat(string(d))
	return !errors.Is(err, fs.ErrNotExist)
}

// Shut creates the site's closed file. It stays until Open removes it, even if the machine loses power in between.
func (d Dir) Shut(site string) error {
	if err := MakeDirs(d.SiteDir(site)); err != nil {
		return err
	}
	f, err := os.OpenFile(d.ClosedFile(site), os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close(), durable.SyncDir(d.SiteDir(site)))
}

// IsShut reports whether the site's closed file is there.
func (d Dir) IsShut(site string) bool {
	_, err := os.Stat(d.ClosedFile(site))
	return err == nil
}

// Open removes the site's closed file. It is no error where there is none.
func (d Dir) Open(site string) error {
	if err := durable.Remove(d.ClosedFile(site)); err != nil {
		return err
	}
	if err := durable.SyncDir(d.SiteDir(site)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// WriteAnswers writes the files that nginx serves from a document: the document, the body of the 503, and whether
// visitors are told that the site is open. It leaves files alone that are right already.
func (d Dir) WriteAnswers(doc status.Document) error {
	toldOpen := filepath.Join(d.SiteDir(doc.Site), nginxconf.ToldOpenFile)
	if doc.Mode.Closed() { // first: written in part, the answers may not make a closed site unhealthy
		if err := durable.Remove(toldOpen); err != nil {
			return err
		}
	}
	var both errgroup.Group // each waits for the disk, and the site is open until then
	for name, data := range map[string][]byte{
		nginxconf.StatusFile:      doc.Marshal(),
		nginxconf.UnavailableFile: nginxconf.Unavailable(doc),
	} {
		both.Go(func() error {
			_, err := Replace(filepath.Join(d.SiteDir(doc.Site), name), data)
			return err
		})
	}
	if err := both.Wait(); err != nil {
		return err
	}
	if _, err := os.Stat(toldOpen); err == nil || doc.Mode.Closed() {
		return nil
	}
	return os.WriteFile(toldOpen, nil, 0o644)
}

// KeepPages replaces the copies of a site's page that nginx shows, by their names (see nginxconf.PageFile). It writes
// those that changed, the main one last, and removes those that are no longer among them.
func (d Dir) KeepPages(site string, pages map[string][]byte) error {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(pages)), func(name string) bool { return name == nginxconf.MainPage })
	for _, name := range append(names, nginxconf.MainPage) {
		if _, err := Replace(filepath.Join(d.SiteDir(site), nginxconf.PageFile(name)), pages[name]); err != nil {
			return fmt.Errorf("keep a copy of the page of %s: %w", site, err)
		}
	}
	there, _ := filepath.Glob(filepath.Join(d.SiteDir(site), nginxconf.PageFile("*")))
	for _, path := range there {
		if _, kept := pages[strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))]; !kept {
			_ = os.Remove(path) // a page in a language too many is no reason to fail
		}
	}
	return nil
}

// modulesFile holds the names of nginx's modules that the rules may name.
func (d Dir) modulesFile() string { return filepath.Join(string(d), "nginx-modules") }

// Modules are the modules of nginx's that the rules may name, as they were last written; none before.
func (d Dir) Modules() []string {
	names, err := os.ReadFile(d.modulesFile())
	if err != nil {
		return nil
	}
	return strings.Fields(string(names))
}

// WriteModules replaces what Modules returns.
func (d Dir) WriteModules(names []string) error {
	if slices.Equal(names, d.Modules()) {
		return nil
	}
	return write(d.modulesFile(), []byte(strings.Join(names, "\n")+"\n"))
}

// remindedFile holds the ETA that on_change was last told has passed.
func (d Dir) remindedFile(site string) string { return filepath.Join(string(d), "reminded", site) }

// Reminded reports whether it is on record that somebody was reminded of this ETA of the site.
func (d Dir) Reminded(site string, eta time.Time) bool {
	was, err := os.ReadFile(d.remindedFile(site))
	return err == nil && string(was) == eta.UTC().Format(time.RFC3339)
}

// Remind puts on record that somebody was reminded of this ETA of the site.
func (d Dir) Remind(site string, eta time.Time) error {
	return write(d.remindedFile(site), []byte(eta.UTC().Format(time.RFC3339)))
}

// ForgetReminder takes back the last Remind of the site.
func (d Dir) ForgetReminder(site string) error { return os.Remove(d.remindedFile(site)) }

// SetAside moves a file that can't be understood out of the way, and returns its new path. The error wraps why.
func (d Dir) SetAside(path string, why error, now time.Time) (string, error) {
	aside := fmt.Sprintf("%s.damaged-%s", path, now.UTC().Format("20060102T150405.000000000"))
	if err := os.Rename(path, aside); err != nil {
		return "", errors.Join(why, err)
	}
	return aside, nil
}

// write replaces a file that nginx may read, and makes the directories above it.
func write(path string, data []byte) error {
	if err := MakeDirs(filepath.Dir(path)); err != nil {
		return err
	}
	return durable.WriteFile(path, data, 0o644)
}

// Replace is write for a file that mostly stays as it is: where it holds data already, nothing is written.
func Replace(path string, data []byte) (changed bool, err error) {
	if was, err := os.ReadFile(path); err == nil && bytes.Equal(was, data) {
		return false, nil
	}
	return true, write(path, data)
}

// read reads a JSON file that write wrote; it has to be of this version. If there is none, or on an error, known is
// false and the value is the zero one.
func read[T any](path string, version int, versionOf func(T) int) (value T, known bool, err error) {
	data, err := readIfAny(path)
	if data == nil || err != nil {
		return value, false, err
	}
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		return value, false, err
	}
	if versionOf(v) != version {
		return value, false, fmt.Errorf("version %d, want %d", versionOf(v), version)
	}
	return v, true, nil
}

// readIfAny reads a file. Where there is none, data and err are nil; an empty one isn't nil.
func readIfAny(path string) (data []byte, err error) {
	if data, err = os.ReadFile(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// wrapped is an error with what was being done before it, nil for none.
func wrapped(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// MakeDirs makes dir and its parents so that nginx's workers can enter them, whatever the umask.
func MakeDirs(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := MakeDirs(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	return os.Chmod(dir, 0o755)
}

// mustJSON marshals what can't fail to be marshalled: our own records.
func mustJSON(v any) []byte {
	out, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic("state: marshal: " + err.Error())
	}
	return append(out, '\n')
}
