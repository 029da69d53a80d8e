package maintenance

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/status"
)

var update = flag.Bool("update", false, "write the golden files anew")

// situations calls do with every combination of what may be on record ("" for no record), on disk, in nginx ("" where
// it doesn't answer), whether the closed file is there, and what is wanted.
func situations(do func(situation)) {
	orNone := append([]status.Mode{""}, modes...)
	for _, recorded := range orNone {
		for _, disk := range orNone {
			for _, live := range orNone {
				for _, shut := range []bool{false, true} {
					for _, wanted := range modes {
						do(situation{recorded, disk, live, shut, wanted})
					}
				}
			}
		}
	}
}

// facts are those of the situation, where the rules are those of the record wherever the mode is.
func (s situation) facts() facts {
	f := facts{known: s.recorded != "", onDisk: s.disk, inNginx: s.live, found: s.live, shut: s.shut}
	if s.live != "" && s.shut {
		f.found = status.Offline
	}
	f.barred = s.shut
	f.inForce = s.recorded != "" && s.disk == s.recorded && s.live == s.recorded && s.shut == (s.recorded == status.Offline)
	return f
}

func (s situation) record(safe bool) state.Record {
	r := state.Record{Document: status.Document{Mode: s.recorded}}
	if s.recorded == "" {
		r.Document.Mode = status.Online
	}
	if safe {
		r.SafeSince = &time.Time{}
	}
	return r
}

func (s situation) String() string {
	name := func(m status.Mode) string {
		if m == "" {
			return "-"
		}
		return string(m)
	}
	file := "-"
	if s.shut {
		file = "closed"
	}
	return fmt.Sprintf("%-8s %-8s %-8s %-7s %-8s", name(s.recorded), name(s.disk), name(s.live), file, name(s.wanted))
}

func words(steps []Step) string {
	var out []string
	for _, s := range steps {
		out = append(out, string(s))
	}
	return strings.Join(out, " ")
}

// TestDecide holds the whole truth table of decide against a golden file, which is to be read when it changes.
func TestDecide(t *testing.T) {
	if len(modes) != len(status.Modes()) {
		t.Fatalf("the table is of %v, and the modes are %v", modes, status.Modes())
	}
	var b strings.Builder
	b.WriteString("# on record, on disk, in nginx, closed file, wanted: the steps. \"not safe\" stands for a record that isn't.\n")
	all := []Step{StepRefuse, StepRead, StepSettle, StepSmoke}
	situations(func(s situation) {
		news := s.recorded != s.wanted
		safe := decide(s.facts(), s.record(true), wish{mode: s.wanted, news: news, checks: all})
		fmt.Fprintf(&b, "%s %s\n", s, words(safe))
		unsafe := decide(s.facts(), s.record(false), wish{mode: s.wanted, news: news, checks: all})
		if s.recorded.Closed() && s.recorded != "" && !slices.Equal(safe, unsafe) {
			fmt.Fprintf(&b, "%s not safe: %s\n", s, words(unsafe))
		}
		if s.recorded == s.wanted {
			repaired := decide(s.facts(), s.record(false), wish{mode: s.wanted, scope: repair, checks: all})
			fmt.Fprintf(&b, "%s repair: %s\n", s, words(repaired))
		}
	})
	const golden = "testdata/decide.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(b.String(), "\n")
	for i, line := range strings.Split(string(want), "\n") {
		if i >= len(got) || got[i] != line {
			t.Fatalf("line %d is\n%s\nwant\n%s", i+1, strings.Join(got[min(i, len(got)):min(i+1, len(got))], ""), line)
		}
	}
}

// TestDecideKeepsTheOrder: whatever is found, is on record and is asked for, the steps that are taken keep the
// promises.
func TestDecideKeepsTheOrder(t *testing.T) {
	for _, checks := range [][]Step{nil, {StepSettle}, {StepSmoke}, {StepSettle, StepSmoke}, {StepRefuse, StepRead, StepGrace}, {StepRefuse, StepSettle}} {
		for _, scope := range []scope{wholeChange, repair, wordsOnly} {
			for _, news := range []bool{false, true} {
				for _, safe := range []bool{false, true} {
					situations(func(s situation) {
						w := wish{mode: s.wanted, scope: scope, news: news, checks: checks}
						r := s.record(safe)
						steps := decide(s.facts(), r, w)
						if fault := faultOf(steps, s, w); fault != "" {
							t.Errorf("%s, scope %d, news %v, safe %v: %s: %s", s, scope, news, safe, words(steps), fault)
						}
					})
				}
			}
		}
	}
}

// faultOf says which promise a list of steps breaks, "" for none.
func faultOf(steps []Step, s situation, w wish) string {
	var order []Step
	for _, a := range actions {
		order = append(order, a.step)
	}
	at := func(step Step) int { return slices.Index(steps, step) }
	has := func(step Step) bool { return at(step) >= 0 }
	for i := 1; i < len(steps); i++ {
		if slices.Index(order, steps[i-1]) >= slices.Index(order, steps[i]) {
			return "the executor takes them in another order"
		}
	}
	opens := s.live != "" && !s.shut && s.live.StricterThan(w.mode)
	switch {
	case len(steps) == 0 && w.news:
		return "visitors are told nothing"
	case len(steps) > 0 && has(StepAnnounce) == has(StepPublish):
		return "visitors are told twice, or never"
	case w.scope == wordsOnly && len(steps) > 1:
		return "it touches nginx"
	case has(StepShut) != has(StepDrain):
		return "what is shut is not drained, or the other way round"
	case has(StepShut) && !has(StepInstall):
		return "it is shut for nothing"
	case has(StepAnnounce) && opens:
		return "an opening is told before it happens"
	case has(StepInstall) && (w.mode != status.Offline) != has(StepOpen):
		return "the closed file stays, or goes"
	case has(StepSettle) && !has(StepDrain), has(StepSmoke) && !has(StepOpen):
		return "something is tried for nothing"
	case has(StepCount) != has(StepRefuse), has(StepRefuse) && !has(StepDrain), has(StepRead) && !has(StepCount):
		return "the kernel refuses what it hasn't counted, or what hasn't drained"
	case has(StepLift) && (w.mode == status.Offline || at(StepLift) > at(StepReload)):
		return "the kernel lets nginx through to a closed site, or too late"
	case has(StepOpen) && s.shut && s.live == status.Offline && !has(StepLift):
		return "the kernel keeps nginx from a site that opens"
	case has(StepGrace) && (!has(StepDrain) || w.mode != status.Offline):
		return "it waits for nothing"
	case has(StepSee) && w.mode != status.Online:
		return "it looks at a closed site"
	}
	return ""
}
