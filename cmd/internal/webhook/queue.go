package webhook

import (
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
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
)

// Queue is where events wait until they are delivered: a directory with one directory for each webhook, and in that a
// file for each event. Names are made from the URL, so that no URL lies there.
type Queue string

// QueueIn is the queue of a state directory.
func QueueIn(stateDir string) Queue { return Queue(filepath.Join(stateDir, "webhooks")) }

// pending is an event that waits, as it is on disk. Its file is named after when it was queued and its ID. The file's
// time is when it is to be tried next: of a thousand that wait, those that are not due needn't be read.
type pending struct {
	ID       string          `json:"id"`
	Since    time.Time       `json:"since"` // when it was queued
	Body     json.RawMessage `json:"body"`  // as it is signed
	Attempts int             `json:"attempts"`
	Error    string          `json:"error,omitempty"`
}

// GivenUp is what could not be delivered to a webhook since it last took something.
type GivenUp struct {
	Events int       `json:"events"`
	Last   time.Time `json:"last"` // when the last of them was given up
	Error  string    `json:"error"`
}

const (
	ending      = ".json"
	givenUpFile = "given-up"
	lockFile    = "lock"
)

func (q Queue) of(h config.Webhook) string {
	sum := sha256.Sum256([]byte(h.URL))
	return filepath.Join(string(q), hex.EncodeToString(sum[:8]))
}

// Add has an event wait for each of the webhooks. One of the same ID that waits already stays as it is.
func (q Queue) Add(hooks []config.Webhook, e Event) error { return q.AddFor(hooks, e, e.At) }

// AddFor is Add for an event that isn't delivered before then: somebody may know better meanwhile, see Replace.
func (q Queue) AddFor(hooks []config.Webhook, e Event, then time.Time) error {
	var errs []error
	for _, h := range hooks {
		if err := q.add(h, e, then); err != nil {
			errs = append(errs, fmt.Errorf("keep an event for the webhook %s: %w", Where(h.URL), err))
		}
	}
	return errors.Join(errs...)
}

// Replace has an event wait for each of the webhooks, and another one, which hasn't been delivered yet, no longer. The
// new one is there before the other is gone: who is killed in between tells of it twice, by one ID where they have one.
func (q Queue) Replace(hooks []config.Webhook, was, now Event) error {
	keep := q.add
	if was.ID() == now.ID() {
		keep = q.keep
	}
	var errs []error
	for _, h := range hooks {
		there, err := q.named(h, was.ID())
		err = errors.Join(err, keep(h, now, now.At))
		for _, path := range there {
			if err == nil && path != q.file(h, pendingOf(now)) {
				err = durable.Remove(path)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("keep an event for the webhook %s: %w", Where(h.URL), err))
		}
	}
	return errors.Join(errs...)
}

func (q Queue) add(h config.Webhook, e Event, then time.Time) error {
	if there, err := q.named(h, e.ID()); err != nil || len(there) > 0 {
		return err
	}
	return q.keep(h, e, then)
}

// keep is add, and replaces what waits under that ID since the same time.
func (q Queue) keep(h config.Webhook, e Event, then time.Time) error {
	if err := os.MkdirAll(q.of(h), 0o700); err != nil {
		return err
	}
	return q.postpone(h, pendingOf(e), then)
}

func pendingOf(e Event) pending { return pending{ID: e.ID(), Since: e.At, Body: e.body()} }

// named are the files of an event, of which there is at most one.
func (q Queue) named(h config.Webhook, id string) ([]string, error) {
	return filepath.Glob(filepath.Join(q.of(h), "*-"+id+ending))
}

func (q Queue) file(h config.Webhook, p pending) string {
	return filepath.Join(q.of(h), p.Since.UTC().Format("20060102T150405.000")+"-"+p.ID+ending)
}

// postpone keeps an event that is to be tried then. Its file has that time from the moment it is there: somebody else
// may deliver it before we come to another line.
func (q Queue) postpone(h config.Webhook, p pending, next time.Time) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return durable.WriteFileAt(q.file(h, p), data, 0o600, next)
}

// entry is the file of an event.
type entry struct {
	path string
	next time.Time // when it is to be tried
}

// entries are the files of a webhook's events, the oldest first.
func (q Queue) entries(h config.Webhook) ([]entry, error) {
	files, err := os.ReadDir(q.of(h)) // by name, which begins with the time
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var out []entry
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ending) {
			continue
		}
		info, err := f.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // delivered in the meantime
		}
		if err != nil {
			return nil, err
		}
		out = append(out, entry{filepath.Join(q.of(h), f.Name()), info.ModTime()})
	}
	return out, nil
}

// read returns an event, nil where it was delivered in the meantime. What can't be read as one is deleted: nobody could
// deliver it.
func (q Queue) read(h config.Webhook, path string) (*pending, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var p pending
	if json.Unmarshal(data, &p) != nil || q.file(h, p) != path || len(p.Body) == 0 {
		return nil, durable.Remove(path)
	}
	return &p, nil
}

// Any reports whether an event waits for one of the webhooks.
func (q Queue) Any(hooks []config.Webhook) bool {
	for _, h := range hooks {
		entries, _ := os.ReadDir(q.of(h))
		if slices.ContainsFunc(entries, func(e os.DirEntry) bool { return strings.HasSuffix(e.Name(), ending) }) {
			return true
		}
	}
	return false
}

// State is how many events wait for a webhook, since when the first does, why the last attempt at it failed ("" for
// none), and what was given up, nil for nothing.
func (q Queue) State(h config.Webhook) (waiting int, since time.Time, why string, given *GivenUp, err error) {
	all, err := q.entries(h)
	if err != nil {
		return 0, time.Time{}, "", nil, err
	}
	if len(all) > 0 {
		first, err := q.read(h, all[0].path)
		if err != nil {
			return 0, time.Time{}, "", nil, err
		}
		if first != nil {
			since, why = first.Since, first.Error
		}
	}
	given, err = q.givenUp(h)
	return len(all), since, why, given, err
}

func (q Queue) givenUp(h config.Webhook) (*GivenUp, error) {
	data, err := os.ReadFile(filepath.Join(q.of(h), givenUpFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var g GivenUp
	if json.Unmarshal(data, &g) != nil {
		return nil, nil // it is written anew by the next that is given up
	}
	return &g, nil
}

// giveUp takes an event away that nobody took for a day, and notes that.
func (q Queue) giveUp(h config.Webhook, p pending, now time.Time) error {
	g, err := q.givenUp(h)
	if err != nil {
		return err
	}
	if g == nil {
		g = &GivenUp{}
	}
	g.Events, g.Last, g.Error = g.Events+1, now.UTC().Truncate(time.Second), p.Error
	data, err := json.Marshal(g)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(q.of(h), givenUpFile), data, 0o600); err != nil {
		return err
	}
	return durable.Remove(q.file(h, p))
}

// delivered takes an event away that was taken. What was given up before is history then.
func (q Queue) delivered(h config.Webhook, p pending) error {
	q.ForgetGivenUp(h)
	return durable.Remove(q.file(h, p))
}

// ForgetGivenUp forgets what was given up: the webhook takes what it is sent.
func (q Queue) ForgetGivenUp(h config.Webhook) {
	_ = os.Remove(filepath.Join(q.of(h), givenUpFile)) // mostly there is none
}

// forget deletes what waits for webhooks that the configuration doesn't have any more.
func (q Queue) forget(hooks []config.Webhook) {
	entries, _ := os.ReadDir(string(q))
	for _, e := range entries {
		dir := filepath.Join(string(q), e.Name())
		if e.IsDir() && !slices.ContainsFunc(hooks, func(h config.Webhook) bool { return q.of(h) == dir }) {
			_ = os.RemoveAll(dir)
		}
	}
}
