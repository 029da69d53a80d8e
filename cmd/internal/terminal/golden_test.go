package terminal

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // Auckland, also where the machine has none

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/doctor"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/publishing"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// inAuckland has times shown as they are there.
func inAuckland(t *testing.T) {
	t.Helper()
	zone, err := time.LoadLocation("Pacific/Auckland")
	if err != nil {
		t.Fatal(err)
	}
	was := time.Local
	time.Local = zone
	t.Cleanup(func() { time.Local = was })
}

var (
	closedAt = time.Date(2026, 11, 22, 8, 15, 4, 0, time.UTC)
	safeAt   = closedAt.Add(time.Second)
	back     = closedAt.Add(30 * time.Minute)
	message  = "We are upgrading Conforma."
)

func receipt(name string, mode status.Mode) *maintenance.Receipt {
	r := &maintenance.Receipt{Site: name, Mode: mode, Previous: status.Online, Outcome: state.Done, Published: true, Since: closedAt}
	if mode.Closed() {
		r.ExpectedUntil, r.SafeSince = &back, &safeAt
	}
	return r
}

// closes tells the terminal what a closing does, as it is done.
func closes(t *Terminal, fails maintenance.Step) {
	for i, step := range []maintenance.Step{maintenance.StepAnnounce, maintenance.StepShut, maintenance.StepInstall, maintenance.StepTest,
		maintenance.StepReload, maintenance.StepProbe, maintenance.StepDrain, maintenance.StepRecord} {
		t.Begin(step, nil)
		var err error
		if step == fails {
			err = errors.New("it did not")
		}
		t.End(step, time.Duration(i+1)*7*time.Millisecond, err)
	}
}

func views() []maintenance.View {
	since := closedAt
	v := maintenance.View{Site: "demo", Mode: status.Offline, OnDisk: maintenance.OnDisk{Mode: status.Offline, Revision: "7-0badcafe", Closed: true}}
	v.Wanted = maintenance.Wanted{Mode: status.Offline, OnRecord: true, Since: &since, ExpectedUntil: &back, SafeSince: &safeAt}
	v.Live = maintenance.Live{Mode: status.Offline, Revision: "7-0badcafe", Closed: true}
	v.Published = &status.Document{Mode: status.Offline, Seq: 42}
	drifting := maintenance.View{Site: "north", Mode: status.Online, OnDisk: maintenance.OnDisk{Mode: status.Online, Revision: "3-0badcafe"}}
	drifting.Drift = []maintenance.Drift{{Shown: maintenance.ByStore, Text: "published is offline (seq 8), on record is online (seq 7); somebody else had published it"}}
	return []maintenance.View{v, drifting}
}

func findings() []doctor.Finding {
	gate := func(name string) doctor.Finding {
		return doctor.Finding{Check: "gate", Site: name, Level: doctor.Fault, Text: "no gate answers at /run/conforma-status/gate.sock: connect: no such file or directory",
			Hint: "start it: systemctl start conforma-status-gate (or conforma-status gate); until then only the addresses in [site.admin] allow get in while in admin mode"}
	}
	return []doctor.Finding{
		{Check: "configuration", Level: doctor.OK, Text: "has no faults"},
		{Check: "disk", Level: doctor.Warning, Text: "/var/lib/conforma-status: 40 MB left", Hint: "make room on that file system"},
		gate("demo"),
		{Check: "in effect", Site: "demo", Level: doctor.OK, Text: "127.0.0.1:50000 as demo.example.org"},
		{Check: "certificate", Site: "demo", Level: doctor.Fault, Text: "the site's certificate expired 2026-11-20", Hint: "certbot renew, then reload nginx"},
		gate("north"),
	}
}

func publications() []publishing.Publication {
	p := publishing.Publication{Site: "demo", Status: &publishing.Status{Key: "demo/status.json", Mode: status.Online, Seq: 7, Written: true}}
	for i, action := range []site.Action{site.New, site.Changed, site.Unchanged, site.Unchanged, site.Stale} {
		p.Files = append(p.Files, publishing.File{Key: fmt.Sprintf("demo/%d.html", i+1), Action: action, Size: 5120})
	}
	return []publishing.Publication{p}
}

// TestGolden: what people see, on a terminal of 80 columns, on a narrow one, and in a pipe.
func TestGolden(t *testing.T) {
	inAuckland(t)
	t.Setenv("NO_COLOR", "")
	for name, show := range map[string]func(*Terminal){
		"set-offline": func(t *Terminal) {
			closes(t, "")
			t.Receipts([]*maintenance.Receipt{receipt("demo", status.Offline)})
		},
		"set-offline-verbose": func(t *Terminal) {
			t.Words = Verbose
			closes(t, "")
			t.Receipts([]*maintenance.Receipt{receipt("demo", status.Offline)})
		},
		"set-offline-quiet": func(t *Terminal) {
			t.Words = Quiet
			closes(t, "")
			t.Receipts([]*maintenance.Receipt{receipt("demo", status.Offline)})
		},
		"set-offline-not-safe": func(t *Terminal) {
			r := receipt("demo", status.Offline)
			r.SafeSince, r.Doubt = nil, state.NotSafeCut
			closes(t, "")
			t.Receipts([]*maintenance.Receipt{r})
		},
		"set-offline-not-safe-quiet": func(t *Terminal) {
			t.Words = Quiet
			r := receipt("demo", status.Offline)
			r.SafeSince, r.Left, r.Remains = nil, 2, "1 request"
			t.Receipts([]*maintenance.Receipt{r})
		},
		"set-offline-shut": func(t *Terminal) {
			r := receipt("demo", status.Offline)
			r.Outcome, r.SafeSince, r.Err = state.Shut, nil, errors.New("nginx did not take up revision 7-0badcafe of demo within 10s")
			r.Error = r.Err.Error()
			closes(t, maintenance.StepProbe)
			t.Receipts([]*maintenance.Receipt{r})
		},
		"set-offline-several": func(t *Terminal) {
			one, other := receipt("demo", status.Offline), receipt("north", status.Offline)
			other.SafeSince, other.Left, other.Remains = nil, 2, "2 connections"
			closes(t, "")
			t.Receipts([]*maintenance.Receipt{one, other})
		},
		"set-offline-several-safe": func(t *Terminal) {
			closes(t, "")
			t.Receipts([]*maintenance.Receipt{receipt("demo", status.Offline), receipt("north", status.Offline)})
		},
		"set-admin":  func(t *Terminal) { closes(t, ""); t.Receipts([]*maintenance.Receipt{receipt("demo", status.Admin)}) },
		"set-online": func(t *Terminal) { closes(t, ""); t.Receipts([]*maintenance.Receipt{receipt("demo", status.Online)}) },
		"set-dry-run": func(t *Terminal) {
			r := receipt("demo", status.Offline)
			r.Outcome, r.Message, r.Messages = state.Planned, &message, map[string]string{"pt": "Estamos a atualizar."}
			r.Steps = []maintenance.StepTime{{Step: maintenance.StepAnnounce}, {Step: maintenance.StepShut}, {Step: maintenance.StepInstall}}
			t.Receipts([]*maintenance.Receipt{r})
		},
		"get": func(t *Terminal) { t.Views(views()) },
		"get-not-safe": func(t *Terminal) {
			vs := views()[:1]
			vs[0].Wanted.SafeSince, vs[0].Wanted.NotSafe = nil, state.NotSafeCut
			t.Views(vs)
		},
		"get-quiet": func(t *Terminal) { t.Words = Quiet; t.Views(views()) },
		"doctor":    func(t *Terminal) { t.Findings([]config.Site{{Name: "demo"}, {Name: "north"}}, findings()) },
		"doctor-verbose": func(t *Terminal) {
			t.Words = Verbose
			t.Findings([]config.Site{{Name: "demo"}, {Name: "north"}}, findings())
		},
		"doctor-in-order": func(t *Terminal) { t.Findings([]config.Site{{Name: "demo"}}, findings()[:1]) },
		"publish": func(t *Terminal) {
			ps := publications()
			t.Planned(ps, false)
			t.Sent(site.Change{File: site.File{Key: "demo/1.html"}}, 1, 2)
			t.Sent(site.Change{File: site.File{Key: "demo/2.html"}}, 2, 2)
			t.Published(ps, false, false)
		},
		"history": func(t *Terminal) {
			closing := state.Event{At: closedAt, Site: "demo", From: status.Online, To: status.Offline, Operator: "ann", Reason: "disk swap", Outcome: state.Done, ExpectedUntil: &back}
			opening := state.Event{At: back.Add(4 * time.Minute), Site: "demo", From: status.Offline, To: status.Online, Operator: "ben", Outcome: state.Done}
			t.History([]string{"demo"}, []state.Event{closing, opening}, 0)
		},
		"later-day": func(t *Terminal) {
			t.LaterDay("08:00", time.Date(2026, 11, 22, 19, 0, 0, 0, time.UTC), closedAt.In(time.Local))
		},
	} {
		for _, kind := range []struct {
			name  string
			width int
		}{{"80", 80}, {"40", 40}, {"pipe", 0}} {
			var out bytes.Buffer
			shown := New(&out, &out)
			shown.columns = func(io.Writer) int { return kind.width }
			shown.coloured = func(io.Writer) bool { return kind.width > 0 }
			shown.live.rewrites = kind.width > 0
			show(shown)
			if kind.width == 0 && strings.ContainsAny(out.String(), "\x1b\r") {
				t.Errorf("%s: a pipe gets %q", name, out.String())
			}
			if all := screen(out.String()); name == "set-offline" && kind.width == 80 && strings.Count(all, "\n") > 6 {
				t.Errorf("a closing takes more than six lines of the screen:\n%s", all)
			}
			golden(t, name+"."+kind.name, screen(out.String()))
		}
	}
}

// screen is what is left to see of what was written: lines that were shown anew are gone. Colours are named.
func screen(written string) string {
	var b strings.Builder
	for line := range strings.Lines(written) {
		if i := strings.LastIndex(line, "\r\x1b[K"); i >= 0 {
			line = line[i+len("\r\x1b[K"):]
		}
		b.WriteString(strings.NewReplacer("\x1b[1;31m", "<red>", "\x1b[1;32m", "<green>", "\x1b[1;33m", "<yellow>", "\x1b[0m", "</>").Replace(line))
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}
