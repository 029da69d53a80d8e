package main

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// rounds are what two rounds of "go test -bench" print, the second with other figures.
var rounds = []string{`goos: linux
goarch: amd64
pkg: github.com/msupply-foundation/conforma-status/nginxconf/gate
cpu: Intel(R) Xeon(R) CPU
BenchmarkCheck/small-2         	   60000	      5000 ns/op	    3000 B/op	      40 allocs/op
BenchmarkCheck/4kB-2           	   10000	     30000 ns/op	   50000 B/op	     400 allocs/op
PASS
ok  	github.com/msupply-foundation/conforma-status/nginxconf/gate	1.2s
goos: linux
goarch: amd64
pkg: github.com/msupply-foundation/conforma-status/deploy/e2e
cpu: Intel(R) Xeon(R) CPU
BenchmarkSwitch-2   	       1	41623949026 ns/op	        74.30 command-ms	        13.00 last-in-ms(<=20)	         0 let-in-after-return(0)	       190.2 safe-ms(<=250)
BenchmarkServing-2  	       1	         0.9500 online/plain(>=0.97)	     44000 plain-req/s
PASS
ok  	github.com/msupply-foundation/conforma-status/deploy/e2e	90.1s
`, `pkg: github.com/msupply-foundation/conforma-status/nginxconf/gate
BenchmarkCheck/small-2         	   60000	      7000 ns/op	    3000 B/op	      40 allocs/op
BenchmarkCheck/4kB-2           	   10000	     31000 ns/op	   50000 B/op	     400 allocs/op
PASS
pkg: github.com/msupply-foundation/conforma-status/deploy/e2e
BenchmarkSwitch-2   	       1	41623949028 ns/op	        94.30 command-ms	        15.00 last-in-ms(<=20)	         1 let-in-after-return(0)	       170.2 safe-ms(<=250)
BenchmarkServing-2  	       1	         0.9600 online/plain(>=0.97)	     46000 plain-req/s
PASS
`}

func sample(t *testing.T) *Report {
	t.Helper()
	var f figures
	for _, r := range rounds {
		if err := f.read(strings.NewReader(r)); err != nil {
			t.Fatal(err)
		}
	}
	return &Report{
		Version: 1, Date: "2026-11-26T03:00:00Z", Commit: "0123abc", Rounds: 2, Seconds: 182.6, Figures: f.sorted(),
		Machine:  Machine{CPU: "Intel(R) Xeon(R) CPU", Cores: 2, Memory: 23.4, Kernel: "6.1.0", System: "Debian GNU/Linux 12 (bookworm)", Load: 0.07},
		Versions: Versions{Go: "go1.26.8", Nginx: "1.22.1"},
	}
}

func TestReport(t *testing.T) {
	r := sample(t)
	for name, got := range map[string]string{"testdata/bench.md": r.markdown(), "testdata/bench.json": string(r.json())} {
		if *update {
			if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s is now\n%s", name, got)
		}
	}
	if !json.Valid(r.json()) {
		t.Error("bench.json is no JSON")
	}
}

func TestTargets(t *testing.T) {
	for _, test := range []struct {
		metric         string
		values         []float64
		target, reason string
		met            bool
	}{
		{"a-ms(<=20)", []float64{19, 20, 90}, "<=20", "the median counts", true},
		{"a-ms(<=20)", []float64{19, 21, 90}, "<=20", "the median counts", false},
		{"a(>=0.97)", []float64{0.97}, ">=0.97", "the bound itself is allowed", true},
		{"a(>=0.97)", []float64{0.9699}, ">=0.97", "below", false},
		{"a(0)", []float64{0, 0, 0}, "=0", "every round", true},
		{"a(0)", []float64{0, 0, 1}, "=0", "every round, not the median", false},
		{"a-ms(<150)", []float64{149.9}, "<150", "below", true},
		{"a-ms(<150)", []float64{150}, "<150", "the bound itself is not allowed", false},
		{"a(>1)", []float64{1}, ">1", "nor there", false},
		{"a(=3)", []float64{3}, "=3", "an equals sign may stand", true},
		{"a-ms(median)", []float64{3}, "", "no number", false},
		{"(<=3)", []float64{3}, "", "no name", false},
		{"a(<=1.2.3)", []float64{3}, "<=1.2.3", "no number after all", false},
		{"ns/op", []float64{3}, "", "none", false},
	} {
		var f figures
		for _, v := range test.values {
			f.add("", "B", test.metric, v)
		}
		fig := f.all[0]
		if fig.Target != test.target || (fig.Met != nil && *fig.Met) != test.met {
			t.Errorf("%s of %v (%s): target %q, met %v", test.metric, test.values, test.reason, fig.Target, fig.Met)
		}
	}
}

// TestUnreadable: a result that is none is not passed over.
func TestUnreadable(t *testing.T) {
	for _, line := range []string{
		"BenchmarkX-2 1 x ns/op\n", "BenchmarkX-2 1 3\n", "BenchmarkX-2 1 NaN a\n", "BenchmarkX-2 1 +Inf a(<=3)\n",
	} {
		var f figures
		if err := f.read(strings.NewReader(line)); err == nil {
			t.Errorf("%q is read as %v", line, f.all)
		}
	}
}

func TestInsert(t *testing.T) {
	doc := "# A\n" + beginMark + "\nold\n" + endMark + "\nb\n"
	got, err := insert(doc, "| new |\n")
	if want := "# A\n" + beginMark + "\n\n| new |\n\n" + endMark + "\nb\n"; err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
	if again, err := insert(got, "| new |\n"); err != nil || again != got {
		t.Errorf("a second time: %q, %v", again, err)
	}
	for _, bad := range []string{"", beginMark, endMark, endMark + beginMark, doc + beginMark, doc + endMark} {
		if got, err := insert(bad, "x"); err == nil {
			t.Errorf("%q became %q", bad, got)
		}
	}
}

// TestDocument: the project's FIGURES.md has a place for the table.
func TestDocument(t *testing.T) {
	document, err := os.ReadFile("../../../FIGURES.md")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := insert(string(document), "x"); err != nil {
		t.Error(err)
	}
}

func TestSystemName(t *testing.T) {
	if got := systemName("NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"); got != "Debian GNU/Linux 12 (bookworm)" {
		t.Errorf("got %q", got)
	}
	if got := systemName("NAME=x\n"); got != "" {
		t.Errorf("got %q", got)
	}
}

// FuzzRead: whatever benchmarks print, the table stays one.
func FuzzRead(f *testing.F) {
	for _, r := range rounds {
		f.Add(r)
	}
	f.Add("BenchmarkA|b-2 1 1e300 a|b(<2) -5 <b>\n")
	f.Add("BenchmarkA 1 NaN x(0) +Inf y(>=1)\nBenchmarkA 1 1 x(0) 1 y(>=1)\n")
	f.Add("BenchmarkA 1 1e308 x\nBenchmarkA 1 1.7e308 x\n")
	f.Fuzz(func(t *testing.T, printed string) {
		var all figures
		_ = all.read(strings.NewReader(printed)) // what is readable beside a fault has to be right all the same
		r := &Report{Figures: all.sorted()}
		if data := r.json(); !json.Valid(data) {
			t.Errorf("bench.json is no JSON: %s", data)
		}
		_, table, _ := strings.Cut(r.markdown(), "\n\n")
		lines := strings.Split(strings.TrimSuffix(table, "\n"), "\n")
		if len(lines) != 2+len(r.listed()) {
			t.Errorf("%d figures make %d lines:\n%s", len(r.listed()), len(lines), table)
		}
		for _, line := range lines {
			if n := strings.Count(line, "|"); n != 7 || strings.Contains(line, "<") {
				t.Errorf("a line of %d bars: %q", n, line)
			}
		}
	})
}
