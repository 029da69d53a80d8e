package state

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers/barrier"
)

// barrierVersion is the version of the file.
const barrierVersion = 1

// Barrier is what the kernel barrier was last told. It is told so again when the machine starts, before nginx does.
type Barrier struct {
	Version int `json:"version"`
	// Container is whether nginx is in a network namespace of its own: that one isn't there yet when the machine starts.
	Container bool           `json:"container,omitempty"`
	Rules     barrier.Rules  `json:"rules"`
	Users     []barrier.User `json:"users"` // those of Rules, for the proof
}

// Tells reports whether it says the same as those rules.
func (b Barrier) Tells(r barrier.Rules) bool { return bytes.Equal(mustJSON(b.Rules), mustJSON(r)) }

func (d Dir) barrierFile() string { return filepath.Join(string(d), "barrier.json") }

// Barrier returns what is on record, known false for none.
func (d Dir) Barrier() (b Barrier, known bool, err error) {
	b, known, err = read(d.barrierFile(), barrierVersion, func(b Barrier) int { return b.Version })
	return b, known, wrapped("read what the kernel barrier was told", err)
}

// WriteBarrier replaces it.
func (d Dir) WriteBarrier(b Barrier) error {
	b.Version = barrierVersion
	return wrapped("write down what the kernel barrier is told", write(d.barrierFile(), mustJSON(b)))
}

// ForgetBarrier removes it. It is no error where there is none.
func (d Dir) ForgetBarrier() error {
	return wrapped("forget what the kernel barrier was told", durable.Remove(d.barrierFile()))
}

// bootFile names this start of the machine: proc(5).
const bootFile = "/proc/sys/kernel/random/boot_id"

func (d Dir) triedFile() string { return filepath.Join(string(d), "barrier-tried") }

// HasTried reports whether NoteTried was called with those rules since the machine was started.
func (d Dir) HasTried(r barrier.Rules) bool {
	was, err := os.ReadFile(d.triedFile())
	return err == nil && len(was) > 0 && bytes.Equal(was, trial(r))
}

// NoteTried notes that the kernel can have a barrier by those rules.
func (d Dir) NoteTried(r barrier.Rules) error { return write(d.triedFile(), trial(r)) }

// trial is nil where it isn't known when the machine was started. The kernel isn't told of sites that are left alone:
// what they are doesn't matter, and there may be hundreds.
func trial(r barrier.Rules) []byte {
	boot, err := os.ReadFile(bootFile)
	if err != nil {
		return nil
	}
	r.Sites = slices.DeleteFunc(slices.Clone(r.Sites), barrier.Site.IsLeft)
	return fmt.Appendf(boot, "%x\n", sha256.Sum256(mustJSON(r)))
}
