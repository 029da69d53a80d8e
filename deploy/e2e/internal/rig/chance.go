package rig

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// What repeats a test that leaves something to chance: its seed, and of a table the cases, separated by "; ".
const (
	seedEnv  = "CONFORMA_STATUS_SEED"
	casesEnv = "CONFORMA_STATUS_CASES"
)

// Chance is what a test leaves to chance. A test that fails says the command that repeats it: with the same seed, and,
// of a table, just the cases that failed. It may be asked by several goroutines at a time.
type Chance struct {
	seed uint64

	mu     sync.Mutex
	source *rand.Rand
	failed []string
}

// NewChance takes the seed that the environment gives, or else one by the time.
func NewChance(t *testing.T) *Chance {
	t.Helper()
	c := &Chance{seed: uint64(time.Now().UnixNano())}
	if text := os.Getenv(seedEnv); text != "" {
		var err error
		if c.seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	c.source = rand.New(rand.NewPCG(c.seed, 0))
	fmt.Printf("%s: %s=%d\n", t.Name(), seedEnv, c.seed) // at once, for a test that doesn't come to its end
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.repeat(t))
		}
	})
	return c
}

// repeat is the command that repeats the test.
func (c *Chance) repeat(t *testing.T) string {
	module, err := filepath.Abs(Source("deploy", "e2e"))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir, err = filepath.Rel(module, dir)
	if err != nil {
		t.Fatal(err)
	}
	env, tags := fmt.Sprintf("%s=%d", seedEnv, c.seed), ""
	if len(c.failed) > 0 {
		env += fmt.Sprintf(" %s='%s'", casesEnv, strings.Join(c.failed, "; "))
	}
	if strings.HasPrefix(t.Name(), "TestSoak") {
		tags = " -tags soak"
	}
	return fmt.Sprintf("repeat with: %s go test -C deploy/e2e -vet=off%s -count=1 -run '^%s$' ./%s", env, tags, t.Name(), dir)
}

// Cases are the names of the cases that are to be repeated, nil for all.
func (c *Chance) Cases() []string {
	if text := os.Getenv(casesEnv); text != "" {
		return strings.Split(text, "; ")
	}
	return nil
}

// Failed notes that a case of the table has failed.
func (c *Chance) Failed(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = append(c.failed, name)
}

// IntN returns a number from 0 to n-1.
func (c *Chance) IntN(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.source.IntN(n)
}

// Rank is where a case stands among others by chance: the same for a seed, whatever the others are.
func (c *Chance) Rank(name string) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s", c.seed, name)
	return h.Sum64()
}
