package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// Figure is one measure of one benchmark, over all rounds.
type Figure struct {
	Package   string    `json:"package"`   // below the project's, "" for its root
	Benchmark string    `json:"benchmark"` // without "Benchmark" and the number of processors
	Metric    string    `json:"metric"`    // "ns/op", or what the benchmark calls it, without the target
	Median    float64   `json:"median"`
	Min       float64   `json:"min"`
	Max       float64   `json:"max"`
	Values    []float64 `json:"values"`           // one a round, in their order
	Target    string    `json:"target,omitempty"` // "<=20", ">=0.97", "=0"
	Met       *bool     `json:"met,omitempty"`    // nil where there is no target
}

// figures collects what benchmarks print, round after round.
type figures struct {
	all   []*Figure
	index map[[3]string]*Figure
}

// project is what all packages' import paths begin with.
const project = "github.com/msupply-foundation/conforma-status"

// targeted is a metric whose name ends in its target: "last-in-ms(<=20)", "online/plain(>=0.97)", "let-in(0)".
var targeted = regexp.MustCompile(`^(.+)\(((?:<=|>=|<|>|=)?[0-9.]+)\)$`)

// read adds what "go test -bench" has printed (https://go.dev/design/14313-benchmark-format). A line that begins like a
// result and is none is an error: a figure would be missing.
func (f *figures) read(r io.Reader) error {
	var faults []error
	for in := benchfmt.NewReader(r, "go test"); in.Scan(); {
		switch record := in.Result().(type) {
		case *benchfmt.Result:
			for _, v := range record.Values {
				value, unit := v.Value, v.Unit
				if v.OrigUnit != "" {
					value, unit = v.OrigValue, v.OrigUnit
				}
				if math.IsNaN(value) || math.IsInf(value, 0) { // a division by nothing, for one
					_, line := record.Pos()
					faults = append(faults, fmt.Errorf("line %d: %s %s is %v", line, record.Name, unit, value))
					continue
				}
				f.add(strings.TrimPrefix(strings.TrimPrefix(record.GetConfig("pkg"), project), "/"), name(record.Name), unit, value)
			}
		case *benchfmt.SyntaxError:
			faults = append(faults, record)
		}
	}
	return errors.Join(faults...)
}

// name is a benchmark's name without the number of processors at its end.
func name(n benchfmt.Name) string {
	_, parts := n.Parts()
	full := n.Full()
	if len(parts) > 0 && strings.HasPrefix(string(parts[len(parts)-1]), "-") {
		full = full[:len(full)-len(parts[len(parts)-1])]
	}
	return string(full)
}

func (f *figures) add(pkg, benchmark, metric string, value float64) {
	target := ""
	if m := targeted.FindStringSubmatch(metric); m != nil {
		metric, target = m[1], m[2]
	}
	if target != "" && target[0] >= '0' && target[0] <= '9' {
		target = "=" + target
	}
	key := [3]string{pkg, benchmark, metric}
	fig := f.index[key]
	if fig == nil {
		fig = &Figure{Package: pkg, Benchmark: benchmark, Metric: metric, Target: target}
		if f.index == nil {
			f.index = map[[3]string]*Figure{}
		}
		f.index[key] = fig
		f.all = append(f.all, fig)
	}
	fig.Values = append(fig.Values, value)
	sorted := slices.Sorted(slices.Values(fig.Values))
	n := len(sorted)
	fig.Median, fig.Min, fig.Max = sorted[(n-1)/2]/2+sorted[n/2]/2, sorted[0], sorted[n-1]
	fig.Met = met(fig)
}

// met reports whether the median is within the target; of a count that has to be exact, that every round's is.
func met(f *Figure) *bool {
	op := strings.TrimRight(f.Target, "0123456789.")
	bound, err := strconv.ParseFloat(strings.TrimPrefix(f.Target, op), 64)
	if f.Target == "" || err != nil {
		return nil
	}
	var ok bool
	switch op {
	case "<=":
		ok = f.Median <= bound
	case ">=":
		ok = f.Median >= bound
	case "<":
		ok = f.Median < bound
	case ">":
		ok = f.Median > bound
	case "=":
		ok = f.Min == bound && f.Max == bound
	}
	return &ok
}

// sorted returns the figures by package and benchmark, those with a target first.
func (f *figures) sorted() []*Figure {
	all := slices.Clone(f.all)
	late := func(f *Figure) int {
		if f.Target == "" {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(all, func(a, b *Figure) int {
		return cmp.Or(cmp.Compare(a.Package, b.Package), cmp.Compare(a.Benchmark, b.Benchmark), late(a)-late(b), cmp.Compare(a.Metric, b.Metric))
	})
	return all
}

// number prints a value with four digits that mean something, and no exponent.
func number(v float64) string {
	switch abs := max(v, -v); {
	case v == float64(int64(v)) && abs < 1e15, abs >= 1000:
		return fmt.Sprintf("%.0f", v)
	case abs >= 100:
		return fmt.Sprintf("%.1f", v)
	case abs >= 10:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}
