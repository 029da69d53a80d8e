package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Report is all of a run, as it goes into bench.json.
type Report struct {
	Version  int       `json:"version"`
	Date     string    `json:"date"` // RFC 3339, UTC
	Commit   string    `json:"commit"`
	Machine  Machine   `json:"machine"`
	Versions Versions  `json:"versions"`
	Rounds   int       `json:"rounds"`
	Seconds  float64   `json:"seconds"` // all of it took
	Figures  []*Figure `json:"figures"`
}

// Machine is what the figures were measured on.
type Machine struct {
	CPU    string  `json:"cpu"`
	Cores  int     `json:"cores"`
	Memory float64 `json:"memoryGiB"`
	Kernel string  `json:"kernel"`
	System string  `json:"system"`
	Load   float64 `json:"loadBefore"` // runnable processes in the minute before, on average
}

// Versions are those of what was measured, "" for what isn't there.
type Versions struct {
	Go       string `json:"go"`
	Nginx    string `json:"nginx"`
	Chromium string `json:"chromium"`
}

func (r *Report) json() []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // targets have "<" and ">"
	enc.SetIndent("", "  ")
	_ = enc.Encode(r) // strings, numbers and booleans
	return b.Bytes()
}

// markdown is the table, with what it needs to be judged and repeated.
func (r *Report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured %s at commit %s, rounds: %d, %.0f s together; %s, %d cores, %.0f GiB, %s, kernel %s (load before: %.2f); %s, nginx %s, Chromium %s.\n",
		r.Date, r.Commit, r.Rounds, r.Seconds, r.Machine.CPU, r.Machine.Cores, r.Machine.Memory, r.Machine.System, r.Machine.Kernel, r.Machine.Load,
		r.Versions.Go, or(r.Versions.Nginx, "none"), or(r.Versions.Chromium, "none"))
	b.WriteString("Medians, and the least and the most of all rounds; figures with a target first.\n\n")
	b.WriteString("| benchmark | figure | median | min–max | target | |\n|---|---|--:|--:|--:|---|\n")
	for _, f := range r.listed() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s–%s | %s | %s |\n", cell(f.Benchmark), cell(f.Metric), number(f.Median), number(f.Min), number(f.Max),
			sign.Replace(f.Target), verdict(f))
	}
	return b.String()
}

// listed are the figures that stand in the table: what a whole run takes says nothing beside figures of its own.
func (r *Report) listed() []*Figure {
	return slices.DeleteFunc(slices.Clone(r.Figures), func(f *Figure) bool {
		return generic(f) && slices.ContainsFunc(r.Figures, func(o *Figure) bool { return o.Package == f.Package && o.Benchmark == f.Benchmark && !generic(o) })
	})
}

// generic reports whether go test measures a figure for every benchmark.
func generic(f *Figure) bool {
	return slices.Contains([]string{"ns/op", "B/op", "allocs/op"}, f.Metric)
}

// sign writes targets as people do.
var sign = strings.NewReplacer("<=", "≤ ", ">=", "≥ ", "<", "&lt; ", ">", "> ", "=", "")

func verdict(f *Figure) string {
	switch {
	case f.Met == nil:
		return ""
	case *f.Met:
		return "met"
	}
	return "**missed**"
}

// cell keeps what a benchmark is called from ending a cell, or the table.
func cell(s string) string {
	return strings.NewReplacer("|", "&#124;", "<", "&lt;", "`", "'", "\n", " ", "\r", " ").Replace(s)
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// The lines between which a document has the last table.
const (
	beginMark = "<!-- make bench UPDATE=1 writes what follows -->"
	endMark   = "<!-- make bench UPDATE=1 wrote what precedes -->"
)

// insert puts text between the marks of a document.
func insert(document, text string) (string, error) {
	if strings.Count(document, beginMark) != 1 || strings.Count(document, endMark) != 1 {
		return "", fmt.Errorf("there have to be exactly one %q and one %q", beginMark, endMark)
	}
	before, rest, _ := strings.Cut(document, beginMark)
	_, after, ok := strings.Cut(rest, endMark)
	if !ok {
		return "", fmt.Errorf("%q comes after %q", beginMark, endMark)
	}
	return before + beginMark + "\n\n" + text + "\n" + endMark + after, nil
}
