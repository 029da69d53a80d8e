package maintenance

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
	"github.com/msupply-foundation/conforma-status/status"
)

var modes = []status.Mode{status.Online, status.Offline, status.Admin}

// situation is one combination of what may be found at the beginning of a change. "" stands for none.
type situation struct {
	recorded, disk, live status.Mode
	shut                 bool
	wanted               status.Mode
}

// plan works out the way from a situation. It must be one that no earlier call has been in.
func (w *world) plan(t *testing.T, s situation) *change {
	t.Helper()
	const rev = "7-00000000"
	rules := func(m status.Mode) []byte {
		data, err := w.rules(w.site, "").Render(m, rev)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	file := nginxconf.SiteFile(w.Config.Nginx.ConfDir, w.site.Name)
	if s.disk == "" {
		os.Remove(file)
	} else if err := durable.WriteFile(file, rules(s.disk), 0o644); err != nil {
		t.Fatal(err)
	}
	os.Remove(w.Dir().RecordFile(w.site.Name))
	if s.recorded != "" {
		r := state.Record{Document: firstDocument(w.site, w.now), Revision: rev, Changes: 7, SafeSince: &w.now}
		r.Document.Mode, r.Document.Seq = s.recorded, 7
		if err := w.Dir().WriteRecord(w.site.Name, r); err != nil {
			t.Fatal(err)
		}
	}
	w.running, w.loaded = s.live != "", nginxRules{mode: s.live, revision: rev}
	if err := w.Dir().Open(w.site.Name); err != nil {
		t.Fatal(err)
	}
	if s.shut {
		if err := w.Dir().Shut(w.site.Name); err != nil {
			t.Fatal(err)
		}
	}
	req := w.request(s.wanted)
	seen, err := w.look(t.Context(), w.site)
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.Host.plan(t.Context(), w.tableFor(t.Context(), req), w.site, seen, req)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestPlan: the ways that are taken every day.
func TestPlan(t *testing.T) {
	const none = status.Mode("")
	on, off, adm := status.Online, status.Offline, status.Admin
	for _, c := range []struct {
		situation
		reapply, shutFirst, announceFirst, door bool
	}{
		{situation{on, on, on, false, on}, false, false, false, false},
		{situation{on, on, on, false, off}, true, true, true, false},
		{situation{on, on, on, false, adm}, true, true, true, false},
		{situation{off, off, off, true, off}, false, false, true, false},
		{situation{off, off, off, true, adm}, true, false, false, true},
		{situation{off, off, off, true, on}, true, false, false, true},
		{situation{adm, adm, adm, false, adm}, false, false, true, false},
		{situation{adm, adm, adm, false, off}, true, true, true, false},
		{situation{adm, adm, adm, false, on}, true, false, false, false},
		// a site that this machine has never changed
		{situation{none, on, on, false, on}, true, false, false, false},
		{situation{none, on, on, false, off}, true, true, true, false},
		{situation{none, none, on, false, off}, true, true, true, false},
		// nginx doesn't run: what is on record and on disk decides
		{situation{on, on, none, false, off}, true, true, true, false},
		{situation{off, off, none, true, on}, true, false, false, true},
		{situation{off, off, none, true, off}, true, true, true, false},
		// interrupted half way
		{situation{on, on, on, true, off}, true, true, true, false},
		{situation{on, off, on, true, off}, true, true, true, false},
		{situation{on, off, off, true, off}, true, true, true, false},
		{situation{on, adm, on, true, adm}, true, true, false, false},
		{situation{off, on, off, true, on}, true, false, false, true},
		{situation{off, on, on, false, on}, true, false, false, false},
		{situation{off, adm, adm, true, adm}, true, true, false, true},
		// and turned round
		{situation{off, on, on, false, off}, true, true, true, false},
		{situation{off, on, on, true, off}, true, true, true, false},
		// the closed file lost, or put there by hand
		{situation{off, off, off, false, off}, true, true, true, false},
		{situation{on, on, on, true, on}, true, false, false, true},
	} {
		t.Run(fmt.Sprintf("%+v", c.situation), func(t *testing.T) {
			w := newWorld(t)
			w.site.Smoke = "/healthz"
			got := w.plan(t, c.situation)
			nothing := len(got.steps) == 0
			if got.has(StepInstall) != c.reapply || got.has(StepShut) != c.shutFirst || !nothing && got.has(StepAnnounce) != c.announceFirst || (got.rules.door != "") != c.door {
				t.Errorf("it takes %v, door %v", got.steps, got.rules.door != "")
			}
		})
	}
}

// TestPlanEverySituation: what has to be true of the way from anywhere to anywhere.
func TestPlanEverySituation(t *testing.T) {
	w := newWorld(t)
	w.site.Smoke = "/healthz"
	any4 := append([]status.Mode{""}, modes...)
	for _, recorded := range any4 {
		for _, disk := range any4 {
			for _, live := range any4 {
				for _, shut := range []bool{false, true} {
					for _, wanted := range modes {
						s := situation{recorded, disk, live, shut, wanted}
						c := w.plan(t, s)
						takesUp, shuts, announces := c.has(StepInstall), c.has(StepShut), c.has(StepAnnounce)
						moreOpen := false // than wanted, or as open: in force as far as anybody knows
						for _, m := range []status.Mode{recorded, disk, live} {
							moreOpen = moreOpen || m != "" && !m.StricterThan(wanted)
						}
						if recorded == "" { // a site that was never touched is open
							moreOpen = true
						}
						agreed := recorded == wanted && disk == wanted && live == wanted && shut == (wanted == status.Offline)
						lets := live // what visitors find
						if live == "" {
							lets = ""
						} else if shut {
							lets = status.Offline
						}
						switch {
						case takesUp == agreed:
							t.Errorf("%+v: takes up is %v", s, takesUp)
						case shuts && !takesUp:
							t.Errorf("%+v: shut for nothing", s)
						case wanted == status.Online && (shuts || announces):
							t.Errorf("%+v: an opening is shut or announced first", s)
						case wanted.Closed() && takesUp && shuts != moreOpen:
							t.Errorf("%+v: shut first is %v", s, shuts)
						case lets != "" && len(c.steps) > 0 && announces != (wanted.Closed() && !lets.StricterThan(wanted)):
							t.Errorf("%+v: announce first is %v, nginx lets in %s", s, announces, lets)
						case c.rules.door != "" && (!shut || wanted == status.Offline || shuts && recorded != status.Offline):
							t.Errorf("%+v: a door where nothing is tried", s)
						case takesUp && c.rules.number <= c.record.Changes:
							t.Errorf("%+v: the revision doesn't grow", s)
						case c.to.Mode != wanted || c.to.Seq < c.record.Document.Seq || takesUp && c.to.Seq != c.record.Document.Seq+1:
							t.Errorf("%+v: the document is %+v", s, c.to)
						}
						if t.Failed() {
							return
						}
					}
				}
			}
		}
	}
}

func TestNext(t *testing.T) {
	w := newWorld(t)
	began := w.now
	later := began.Add(time.Hour)
	eta, newETA := began.Add(2*time.Hour), began.Add(3*time.Hour)
	message, newMessage := "We are upgrading.", "It takes longer."
	window := &status.Window{From: began.Add(24 * time.Hour)}
	was := func(m status.Mode) status.Document {
		d := firstDocument(w.site, began)
		d.Mode, d.Seq, d.Next = m, 4, window
		if m.Closed() {
			d.ExpectedUntil, d.Message, d.Messages = &eta, &message, map[string]string{"pt": "Estamos a atualizar."}
		}
		return d
	}
	type words struct {
		since    time.Time
		eta      *time.Time
		message  *string
		messages int
	}
	for name, c := range map[string]struct {
		was  status.Document
		req  Request
		want words
	}{
		"closing":                       {was(status.Online), Request{Mode: status.Offline}, words{later, nil, nil, 0}},
		"closing, with words":           {was(status.Online), Request{Mode: status.Admin, ETA: &eta, Message: &message}, words{later, &eta, &message, 0}},
		"closed otherwise":              {was(status.Offline), Request{Mode: status.Admin}, words{began, &eta, &message, 1}},
		"closed otherwise, a new ETA":   {was(status.Admin), Request{Mode: status.Offline, ETA: &newETA}, words{began, &newETA, &message, 1}},
		"still closed, a new message":   {was(status.Offline), Request{Mode: status.Offline, Message: &newMessage}, words{began, &eta, &newMessage, 0}}, // what was said before in Portuguese holds no more
		"still closed, in a language":   {was(status.Offline), Request{Mode: status.Offline, Messages: map[string]string{"fr": "Bientôt.", "es": "Pronto."}}, words{began, &eta, nil, 2}},
		"opening clears":                {was(status.Offline), Request{Mode: status.Online}, words{later, nil, nil, 0}},
		"still open":                    {was(status.Online), Request{Mode: status.Online}, words{began, nil, nil, 0}},
		"opening from admin clears too": {was(status.Admin), Request{Mode: status.Online}, words{later, nil, nil, 0}},
	} {
		d := next(c.was, w.site, c.req, later)
		got := words{d.Since, d.ExpectedUntil, d.Message, len(d.Messages)}
		if !reflect.DeepEqual(got, c.want) || d.Mode != c.req.Mode || d.Next != window || d.AppURL != w.site.AppURL {
			t.Errorf("%s: got %+v, want %+v", name, d, c.want)
		}
		if err := d.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestKeepClosed: a change that leaves a site closed as it found it says nothing new to visitors, and opens nothing.
func TestKeepClosed(t *testing.T) {
	for _, c := range []struct {
		found, asked, becomes status.Mode
		keeps                 bool
	}{
		{status.Online, status.Offline, status.Offline, false},
		{status.Online, status.Admin, status.Admin, false},
		{status.Admin, status.Offline, status.Offline, true},
		{status.Admin, status.Admin, status.Admin, true},
		{status.Offline, status.Admin, status.Offline, true},
		{status.Offline, status.Offline, status.Offline, true},
	} {
		w := newWorld(t)
		eta, mine, theirs := w.now.Add(time.Hour), "Mine.", "Theirs."
		if c.found.Closed() {
			w.set(t, c.found, func(r *Request) { r.Message = &theirs })
		}
		r := w.set(t, c.asked, func(r *Request) { r.Keeps, r.ETA, r.Message = KeepsClosed, &eta, &mine })
		if r.Err != nil || r.Mode != c.becomes || r.Previous != c.found || c.keeps != (*r.Message == theirs) || c.keeps != (r.ExpectedUntil == nil) {
			t.Errorf("%s asked for %s: %+v", c.found, c.asked, r)
		}
		if held, err := w.Holds(t.Context(), r); err != nil || !held {
			t.Errorf("%s: it holds %v, %v", c.becomes, held, err)
		}
		w.set(t, status.Online)
		if held, err := w.Holds(t.Context(), r); err != nil || held {
			t.Errorf("once it is online, %s holds: %v, %v", c.becomes, held, err)
		}
	}
}

// TestLonger: an ETA is put off from where it is announced, not from now.
func TestLonger(t *testing.T) {
	w := newWorld(t)
	extend := func(d time.Duration) (*time.Time, error) {
		rs, err := w.Set(t.Context(), Request{Sites: w.Config.Sites, Keeps: KeepsMode, Longer: d})
		if err != nil {
			return nil, err
		}
		return rs[0].ExpectedUntil, nil
	}
	if _, err := extend(time.Minute); !errors.Is(err, ErrOnline) {
		t.Errorf("while it is online: %v", err)
	}
	w.set(t, status.Offline)
	if _, err := extend(time.Minute); !errors.Is(err, ErrNoETA) {
		t.Errorf("without an ETA: %v", err)
	}
	eta := w.now.Add(time.Hour).Truncate(time.Second)
	w.set(t, status.Offline, func(r *Request) { r.ETA = &eta })
	w.now = w.now.Add(50 * time.Minute)
	if got, err := extend(10 * time.Minute); err != nil || !got.Equal(eta.Add(10*time.Minute)) {
		t.Errorf("got %v, %v", got, err)
	}
	w.now = w.now.Add(2 * time.Hour)
	if _, err := extend(10 * time.Minute); !errors.Is(err, ErrETAPassed) {
		t.Errorf("where the new one has passed: %v", err)
	}
	if got, err := extend(3 * time.Hour); err != nil || !got.Equal(eta.Add(3*time.Hour+10*time.Minute)) {
		t.Errorf("got %v, %v", got, err)
	}
}
