package faults

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/status"
)

// variant is a circumstance in which a change takes steps that it doesn't take otherwise.
type variant struct {
	name     string
	changes  []move        // nil for all
	settings rig.Settings  // of the site
	args     []string      // of set
	held     bool          // a WebSocket is open throughout
	broken   bool          // somebody else has broken nginx's configuration
	mendLate bool          // and mends it only after reconcile
	undone   []status.Mode // the changes to these can't be finished: they end where they began
	cut      bool          // something is cut that nobody vouches for: the site is not safe afterwards
}

// move is a change from one mode to another.
type move struct{ from, to status.Mode }

var moves = []move{
	{status.Online, status.Offline}, {status.Online, status.Admin}, {status.Admin, status.Offline},
	{status.Offline, status.Online}, {status.Offline, status.Admin}, {status.Admin, status.Online},
}

var (
	closings = moves[:3]
	openings = moves[3:]
)

var variants = []variant{
	{name: "plain", settings: rig.Settings{Grace: "10ms"}},
	{name: "something to cut", changes: closings[:2], args: []string{"--drain", "0"}, held: true, cut: true},
	{name: "something to cut, vouched for", changes: closings[:2], settings: rig.Settings{Site: `settled = ["true"]`},
		args: []string{"--drain", "0"}, held: true},
	{name: "smoke", changes: openings, settings: rig.Settings{Site: `smoke = "/healthz"`}},
	{name: "smoke fails", changes: openings[:2], settings: rig.Settings{Site: `smoke = "` + rig.BadPath + `"`}, undone: []status.Mode{status.Online, status.Admin}},
	{name: "broken configuration", broken: true},
	{name: "configuration stays broken", broken: true, mendLate: true, undone: []status.Mode{status.Online, status.Admin}},
}

// crashCase is one row of the crash table.
type crashCase struct {
	move
	variant  variant
	storeUp  bool
	when     string // "before" or "after"
	step     string
	followed string // "nothing", "a reboot" or "a second command"
}

func (c crashCase) String() string {
	store := "store up"
	if !c.storeUp {
		store = "store down"
	}
	return fmt.Sprintf("%s to %s, %s, %s, killed %s %s, then %s", c.from, c.to, c.variant.name, store, c.when, c.step, c.followed)
}

// third is the mode of the second command: neither of the two.
func (c crashCase) third() status.Mode {
	for _, m := range []status.Mode{status.Online, status.Offline, status.Admin} {
		if m != c.from && m != c.to {
			return m
		}
	}
	panic("three modes")
}

// opens reports whether the change lets more in than was let in before.
func (m move) opens() bool { return m.from.StricterThan(m.to) }

// TestCrashTable kills the command before and after every step of every change, lets something happen, and has
// reconcile finish. Which steps there are is not written here: a dry run lists those of a change. Each change is first
// killed at its very end, and its journal says which it took besides, a cut or a rollback.
func TestCrashTable(t *testing.T) {
	t.Parallel()
	crashTable(t, false)
}

// crashTime is how long cases of the table are begun. A machine that is too slow for the whole of it takes those that
// chance puts first, and says how many they were.
const crashTime = 6 * time.Minute

// crashHosts is on how many hosts cases are tried at a time.
const crashHosts = 8

// crashTable takes the whole table, or a few rows of it by chance.
func crashTable(t *testing.T, all bool) {
	t.Helper()
	chance := rig.NewChance(t)
	if again := chance.Cases(); again != nil {
		share(t, casesCalled(t, again), func(t *testing.T, h *crashHost, c crashCase) error {
			_, err := h.crash(t, c)
			return failed(chance, c, err)
		})
		return
	}
	var first, table []crashCase
	for _, v := range variants {
		list := v.changes
		if list == nil {
			list = moves
		}
		some := list
		if !all {
			some = list[chance.IntN(len(list)):][:1]
			if v.name == "plain" {
				some = []move{closings[0], openings[0]}
			}
		}
		for _, m := range some {
			first = append(first, crashCase{move: m, variant: v, storeUp: true, when: "after", step: "record", followed: "nothing"})
			if v.name == "plain" {
				first = append(first, crashCase{move: m, variant: v, when: "after", step: "record", followed: "nothing"})
			}
		}
	}
	var mu sync.Mutex
	taken := map[string]bool{}
	share(t, first, func(t *testing.T, h *crashHost, c crashCase) error {
		steps, err := h.crash(t, c)
		mu.Lock()
		defer mu.Unlock()
		for _, step := range steps {
			taken[step] = true
			for _, when := range []string{"before", "after"} {
				for _, followed := range []string{"nothing", "a reboot", "a second command"} {
					row := c
					row.step, row.when, row.followed = step, when, followed
					if row.String() != c.String() {
						table = append(table, row)
					}
				}
			}
		}
		return failed(chance, c, err)
	})
	for _, step := range declaredSteps(t) {
		if !taken[step] && !t.Failed() {
			t.Errorf("no change of the table takes the step %q: add a variant that does", step)
		}
	}
	slices.SortFunc(table, func(a, b crashCase) int { return cmp.Compare(chance.Rank(a.String()), chance.Rank(b.String())) })
	whole := len(table)
	if !all && len(table) > 3 {
		table = table[:3]
	}
	began := time.Now()
	var late atomic.Int64
	share(t, table, func(t *testing.T, h *crashHost, c crashCase) error {
		if time.Since(began) > crashTime {
			late.Add(1)
			return nil
		}
		_, err := h.crash(t, c)
		return failed(chance, c, err)
	})
	fmt.Printf("%s: %d of %d cases\n", t.Name(), len(first)+len(table)-int(late.Load()), len(first)+whole)
}

// failed notes a case whose error isn't nil, and returns that.
func failed(chance *rig.Chance, c crashCase, err error) error {
	if err != nil {
		chance.Failed(c.String())
	}
	return err
}

// casesCalled returns the cases of those names.
func casesCalled(t *testing.T, names []string) []crashCase {
	t.Helper()
	var all []crashCase
	for _, v := range variants {
		for _, m := range moves {
			for _, storeUp := range []bool{true, false} {
				for _, step := range declaredSteps(t) {
					for _, when := range []string{"before", "after"} {
						for _, followed := range []string{"nothing", "a reboot", "a second command"} {
							all = append(all, crashCase{move: m, variant: v, storeUp: storeUp, when: when, step: step, followed: followed})
						}
					}
				}
			}
		}
	}
	var called []crashCase
	for _, name := range names {
		i := slices.IndexFunc(all, func(c crashCase) bool { return c.String() == name })
		if i < 0 {
			t.Fatalf("there is no case %q", name)
		}
		called = append(called, all[i])
	}
	return called
}

// share has a few workers, each with a host of its own, take the cases. A host that a case has spoilt is replaced.
func share(t *testing.T, cases []crashCase, do func(*testing.T, *crashHost, crashCase) error) {
	t.Helper()
	cases = slices.Clone(cases)
	var mu sync.Mutex
	take := func(mode status.Mode) (crashCase, bool) {
		mu.Lock()
		defer mu.Unlock()
		if len(cases) == 0 {
			return crashCase{}, false
		}
		i := max(0, slices.IndexFunc(cases, func(c crashCase) bool { return c.from == mode })) // saves a change
		c := cases[i]
		cases = slices.Delete(cases, i, i+1)
		return c, true
	}
	// Not parallel subtests, of which no more run at a time than there are processors: most of a case is waiting.
	var wait sync.WaitGroup
	for n := range min(crashHosts, len(cases)) {
		wait.Go(func() {
			t.Run(strconv.Itoa(n), func(t *testing.T) {
				var h *crashHost
				mode := status.Online
				for {
					c, ok := take(mode)
					if !ok {
						return
					}
					if h == nil {
						h = newCrashHost(t)
					}
					if err := do(t, h, c); err != nil {
						t.Errorf("%s:\n%v", c, err)
						h.Nginx.Stop(t)
						h, mode = nil, status.Online
						continue
					}
					mode = h.mode
				}
			})
		})
	}
	wait.Wait()
}

// declaredSteps reads the names of all steps from the source of the protocol.
func declaredSteps(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(gotoken.NewFileSet(), filepath.Join("..", "..", "..", "cmd", "internal", "maintenance", "steps.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var steps []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if ok && len(spec.Values) == 1 && strings.HasPrefix(spec.Names[0].Name, "Step") {
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
				step, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				steps = append(steps, step)
			}
		}
		return true
	})
	if len(steps) < 10 {
		t.Fatalf("found only the steps %v", steps)
	}
	return steps
}
