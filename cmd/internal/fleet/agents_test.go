package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// disk is a Site whose nginx does at once what it is told, and has nothing to drain.
type disk struct {
	kept  Kept
	local Local
}

func (d *disk) Kept() (Kept, error)                            { return d.kept, nil }
func (d *disk) Local() (Local, error)                          { return d.local, nil }
func (d *disk) Heard(context.Context, status.Document) error   { return nil }
func (d *disk) Keep(_ context.Context, k Kept) error           { d.kept = k; return nil }
func (d *disk) Shut(context.Context) error                     { d.kept.Waits = true; return nil }
func (d *disk) Alone(status.Document) (status.Document, error) { return status.Document{}, nil }

func (d *disk) Announced(Change) error { return nil }

func (d *disk) apply(s Step) Local {
	if d.local = (Local{Mode: s.Mode}); s.Mode.Closed() {
		now := time.Now()
		d.local.SafeSince = &now
	}
	return d.local
}

// counts are the requests of one agent.
type counts struct {
	once  atomic.Int64 // of its own receipt, and of the note of the orders
	polls atomic.Int64 // all others
	lists atomic.Int64
}

// counted is a store whose requests are counted.
type counted struct {
	store.Store
	*counts
	host string
}

func (c counted) count(key string) {
	if key == NoteKey("demo") || key == status.ReceiptKey("demo", c.host) {
		c.once.Add(1)
		return
	}
	c.polls.Add(1)
}

func (c counted) Get(ctx context.Context, key string) ([]byte, string, error) {
	c.count(key)
	return c.Store.Get(ctx, key)
}

func (c counted) GetIfChanged(ctx context.Context, key, etag string) ([]byte, string, error) {
	c.count(key)
	return store.GetIfChanged(ctx, c.Store, key, etag)
}

func (c counted) Put(ctx context.Context, key string, data []byte, meta store.Meta, cond store.Condition) (string, error) {
	c.count(key)
	return c.Store.Put(ctx, key, data, meta, cond)
}

func (c counted) List(ctx context.Context, prefix string) ([]store.Object, error) {
	c.polls.Add(1)
	c.lists.Add(1)
	return c.Store.List(ctx, prefix)
}

// agent is one of a hundred.
type agent struct {
	*Agent
	disk *disk
	counts
}

// agentOf is an agent that has begun as that host, and looks into such stores.
func agentOf(i int, public, private store.Store) *agent {
	a, host := &agent{disk: &disk{local: Local{Mode: status.Online}}}, fmt.Sprintf("app-%d", i)
	a.Agent = &Agent{
		Name: "demo", Path: "demo", Site: a.disk, Public: counted{public, &a.counts, host}, Private: counted{private, &a.counts, host},
		Key: agentsKey, Now: time.Now, SwitchKey: "demo/" + status.FileName,
	}
	a.Start(host, fmt.Sprint(i))
	return a
}

// round is all of a round.
func (a *agent) round(ctx context.Context) error {
	step, _, err := a.Round(ctx)
	if err == nil && step.Do == Apply {
		err = a.Applied(ctx, step, a.disk.apply(step))
	}
	return err
}

var agentsKey = []byte("the-key-of-the-fleet-is-long-enough-for-hs256")

// orderingOf orders a mode of the agents.
func orderingOf(mode status.Mode, public, private store.Store) *Ordering {
	g := &Ordering{
		Name: "demo", Public: public, Receipts: Receipts{Store: private, Path: "demo"}, Key: agentsKey, Now: time.Now, By: "ann on app-1",
		SwitchKey: "demo/" + status.FileName, Words: func(was status.Document) (status.Document, status.Mode, error) {
			if was.Site == "" {
				was = status.Document{Version: status.Version, Site: "demo", Mode: status.Online, Since: time.Now()}
				was.AppURL, was.PageURL = "https://demo.example.org", "https://maintenance.example.org/"
			}
			return was, mode, nil
		},
	}
	g.Begin(mode)
	return g
}

// TestAHundredAgentsAskLittle: beside one look at the switch in each round a host reads the note of the orders and
// writes its receipt, once an order. Only who waits reads the receipts. Where nobody waits any more one member does.
func TestAHundredAgentsAskLittle(t *testing.T) {
	const hosts = 100
	public, private := dirStore(t), dirStore(t)
	var agents []*agent
	for i := range hosts {
		agents = append(agents, agentOf(i, public, private))
	}
	// rounds has each agent take so many rounds, and returns the most requests of one, and the lists of all.
	rounds := func(n int) (own, polls, lists int64) {
		for range n {
			for _, a := range agents {
				if err := a.round(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, a := range agents {
			own, polls, lists = max(own, a.once.Swap(0)), max(polls, a.polls.Swap(0)), lists+a.lists.Swap(0)
		}
		return own, polls, lists
	}
	put := func(mode status.Mode) *Ordering {
		g := orderingOf(mode, public, private)
		if do, err := g.Round(t.Context()); err != nil || do != Wait {
			t.Fatalf("order %s: %s, %v", mode, do, err)
		}
		return g
	}
	rounds(1) // they join
	for _, mode := range []status.Mode{status.Offline, status.Online} {
		g := put(mode)
		if own, polls, lists := rounds(2); own > 2 || polls > 2 || lists > 0 {
			t.Errorf("%s takes %d requests of a host in 2 rounds, %d for its receipt and the note, and %d lists", mode, polls, own, lists)
		}
		if do, err := g.Round(t.Context()); err != nil || do != Done {
			t.Errorf("%s isn't reached in 2 rounds: %s, %v", mode, do, err)
		}
		if own, polls, lists := rounds(8); own > 0 || polls > 8 || lists > 0 {
			t.Errorf("%s: at rest a host makes %d requests in 8 rounds, %d for its receipt and the note, and %d lists", mode, polls, own, lists)
		}
	}

	put(status.Offline)
	rounds(2)
	put(status.Online) // and who orders is gone
	for n := 1; ; n++ {
		own, polls, lists := rounds(1)
		if lists > 2 || lists == 0 && polls > 1 || own > 2 {
			t.Errorf("in round %d there are %d lists, and a host makes %d requests, and %d for its receipt and the note", n, lists, polls, own)
		}
		data, _, err := public.Get(t.Context(), "demo/"+status.FileName)
		if err != nil {
			t.Fatal(err)
		}
		d, err := status.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		if d.Mode == status.Online {
			break
		}
		if n == 2*announceAfter {
			t.Fatalf("after %d rounds nobody has told visitors that it is open", n)
		}
	}
}

// noNote is a store in which a host may not write the note of the orders, or not read it either.
type noNote struct {
	store.Store
	unread bool
}

func (n noNote) Get(ctx context.Context, key string) ([]byte, string, error) {
	if n.unread && key == NoteKey("demo") {
		return nil, "", store.ErrDenied
	}
	return n.Store.Get(ctx, key)
}

func (n noNote) Put(ctx context.Context, key string, data []byte, meta store.Meta, cond store.Condition) (string, error) {
	if key == NoteKey("demo") {
		return "", store.ErrDenied
	}
	return n.Store.Put(ctx, key, data, meta, cond)
}

// TestAnOrderThatIsPutBackOpensNothing: a host that has missed a closing doesn't follow the opening before it, whether
// or not the hosts may read and write the note of the orders, and whatever that says that nobody has noted.
func TestAnOrderThatIsPutBackOpensNothing(t *testing.T) {
	all := func(s store.Store) store.Store { return s }
	for name, c := range map[string]struct {
		private func(store.Store) store.Store
		note    string // in the place of what was noted
	}{
		"by the note":               {private: all},
		"none writes it":            {private: func(s store.Store) store.Store { return noNote{s, false} }},
		"none can read it":          {private: func(s store.Store) store.Store { return noNote{s, true} }},
		"it is empty":               {all, "\n"},
		"it is damaged":             {all, `{"version":1,"highest":1`},
		"it says nothing":           {all, `{"version":1}`},
		"it doesn't know its order": {all, `{"version":1,"highest":1,"order":9}`},
		"it is of a later version":  {all, `{"version":2,"highest":1}`},
		"no order comes after it":   {all, `{"version":1,"highest":18446744073709551615}`},
		"nor after the highest":     {all, `{"version":1,"highest":9007199254740991}`},
	} {
		t.Run(name, func(t *testing.T) {
			public, receipts := dirStore(t), dirStore(t)
			a, b := agentOf(1, public, c.private(receipts)), agentOf(2, public, c.private(receipts))
			order := func(mode status.Mode, who ...*agent) []byte {
				if do, err := orderingOf(mode, public, c.private(receipts)).Round(t.Context()); err != nil || do != Wait {
					t.Fatalf("order %s: %s, %v", mode, do, err)
				}
				for _, w := range who {
					if err := w.round(t.Context()); err != nil || w.disk.local.Mode != mode {
						t.Fatalf("%s is ordered, a host is %s: %v", mode, w.disk.local.Mode, err)
					}
				}
				data, _, err := public.Get(t.Context(), a.SwitchKey)
				if err != nil {
					t.Fatal(err)
				}
				return data
			}
			for _, w := range []*agent{a, b} { // they join
				if err := w.round(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			order(status.Offline, a, b)
			opening := order(status.Online, a)
			order(status.Offline, a)
			if c.note != "" {
				if _, err := receipts.Put(t.Context(), NoteKey("demo"), []byte(c.note), store.Meta{}, store.Always()); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := public.Put(t.Context(), a.SwitchKey, opening, store.Meta{}, store.Always()); err != nil {
				t.Fatal(err)
			}
			for _, w := range []*agent{a, b} {
				if err := w.round(t.Context()); err != nil || w.disk.local.Mode != status.Offline {
					t.Errorf("an opening that was put back has a host be %s: %v", w.disk.local.Mode, err)
				}
			}
			order(status.Online, a, b)
		})
	}
}

// BenchmarkAgents has a hundred agents in one process follow a switch in an S3 server, whose address and buckets the
// environment gives: see BenchmarkHundredHosts in deploy/e2e/fleet.
func BenchmarkAgents(b *testing.B) {
	const hosts, poll = 100, 5 * time.Second
	endpoint, region := os.Getenv("FLEET_S3"), os.Getenv("FLEET_REGION")
	if endpoint == "" {
		b.Skip("there is no S3 server")
	}
	open := func(bucket string) store.Store {
		s, err := store.Open("s3://"+bucket, store.S3Options{Region: region, Endpoint: endpoint, PathStyle: true})
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	var rounds, failed atomic.Int64 // of the agents
	const public, private = "maintenance", "receipts"
	ctx, stop := context.WithCancel(b.Context())
	var running sync.WaitGroup
	var agents []*agent
	for i := range hosts {
		a := agentOf(i, open(public), open(private))
		agents = append(agents, a)
		running.Go(func() {
			wait := rand.N(poll) // hosts don't start all at once
			for {
				select {
				case <-ctx.Done():
					return
				case <-time.After(wait):
				}
				err := a.round(ctx)
				if rounds.Add(1); err != nil && ctx.Err() == nil {
					failed.Add(1) // the next round tries again
				}
				wait = poll
			}
		})
	}
	defer running.Wait()
	defer stop()
	// count returns the requests of all agents since it was called last: for their receipts and the note of the orders,
	// for all else, and the lists among these.
	count := func() (own, polls, lists float64) {
		for _, a := range agents {
			own, polls, lists = own+float64(a.once.Swap(0)), polls+float64(a.polls.Swap(0)), lists+float64(a.lists.Swap(0))
		}
		return own, polls, lists
	}
	receipts := Receipts{Store: open(private), Path: "demo"}
	for joined := 0; joined < hosts; time.Sleep(poll / 10) {
		all, err := receipts.Members(ctx)
		if joined = len(all.Receipts); err != nil || ctx.Err() != nil {
			b.Fatalf("%d have joined: %v", joined, err)
		}
	}
	order := func(mode status.Mode) (last time.Duration) {
		g := orderingOf(mode, open(public), open(private))
		for do := Wait; do != Done; time.Sleep(poll / 20) {
			var err error
			if do, err = g.Round(ctx); err != nil || do == Later {
				b.Fatalf("order %s: %s, %v", mode, do, err)
			}
		}
		for _, at := range g.Reached {
			last = max(last, at.Sub(g.Ordered))
		}
		return last
	}
	order(status.Online) // the first document
	for b.Loop() {
		time.Sleep(poll) // until nobody waits any more
		count()
		before := rounds.Load()
		time.Sleep(poll)
		own, polls, lists := count()
		b.ReportMetric((own+polls)/float64(rounds.Load()-before), "requests-per-poll-and-host(<=1.01)")
		b.ReportMetric((own+polls)/hosts/poll.Seconds(), "requests-per-s-and-host")
		b.ReportMetric(lists, "lists-at-rest(0)")
		for _, o := range []struct {
			mode  status.Mode
			whole string
		}{{status.Offline, "closing"}, {status.Online, "opening"}} {
			count()
			before = rounds.Load()
			b.ReportMetric(order(o.mode).Seconds(), o.whole+"-last-receipt-s(<=12)")
			own, polls, lists := count()
			b.ReportMetric((own+polls)/hosts, o.whole+"-requests-per-host")
			b.ReportMetric(own/hosts, o.whole+"-requests-per-host-for-receipt-and-note(<=3)")
			b.ReportMetric(polls/float64(rounds.Load()-before), o.whole+"-requests-per-poll-and-host(<=1.01)")
			b.ReportMetric(lists, o.whole+"-lists-of-agents(0)")
		}
	}
	b.ReportMetric(float64(failed.Load()), "failed-rounds(0)")
	b.ReportMetric(0, "ns/op")
}
