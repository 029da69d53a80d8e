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

// counted is a store whose requests are counted.
type counted struct {
	store.Conditional
	requests, lists *atomic.Int64
}

func (c counted) Get(ctx context.Context, key string) ([]byte, string, error) {
	c.requests.Add(1)
	return c.Conditional.Get(ctx, key)
}

func (c counted) GetIfChanged(ctx context.Context, key, etag string) ([]byte, string, error) {
	c.requests.Add(1)
	return c.Conditional.GetIfChanged(ctx, key, etag)
}

func (c counted) Put(ctx context.Context, key string, data []byte, meta store.Meta, cond store.Condition) (string, error) {
	c.requests.Add(1)
	return c.Conditional.Put(ctx, key, data, meta, cond)
}

func (c counted) List(ctx context.Context, prefix string) ([]store.Object, error) {
	c.requests.Add(1)
	c.lists.Add(1)
	return c.Conditional.List(ctx, prefix)
}

// BenchmarkAgents has a hundred agents in one process follow a switch in an S3 server, whose address and buckets the
// environment gives: see BenchmarkHundredHosts in deploy/e2e/fleet.
func BenchmarkAgents(b *testing.B) {
	const hosts, poll = 100, 5 * time.Second
	endpoint, region := os.Getenv("FLEET_S3"), os.Getenv("FLEET_REGION")
	if endpoint == "" {
		b.Skip("there is no S3 server")
	}
	open := func(bucket string) store.Conditional {
		s, err := store.Open("s3://"+bucket, store.S3Options{Region: region, Endpoint: endpoint, PathStyle: true})
		if err != nil {
			b.Fatal(err)
		}
		return s.(store.Conditional)
	}
	var requests, lists, rounds, failed atomic.Int64 // of the agents
	key := []byte("the-key-of-the-fleet-is-long-enough-for-hs256")
	const public, private, statusKey = "maintenance", "receipts", "demo/" + status.FileName
	ctx, stop := context.WithCancel(b.Context())
	var running sync.WaitGroup
	for i := range hosts {
		d := &disk{local: Local{Mode: status.Online}}
		a := &Agent{
			Name: "demo", Path: "demo", Site: d, Public: counted{open(public), &requests, &lists}, Private: counted{open(private), &requests, &lists},
			Key: key, Now: time.Now, SwitchKey: statusKey,
		}
		a.Start(fmt.Sprintf("app-%d", i), fmt.Sprint(i))
		running.Go(func() {
			wait := rand.N(poll) // hosts don't start all at once
			for {
				select {
				case <-ctx.Done():
					return
				case <-time.After(wait):
				}
				step, _, err := a.Round(ctx)
				if err == nil && step.Do == Apply {
					err = a.Applied(ctx, step, d.apply(step))
				}
				if rounds.Add(1); err != nil && ctx.Err() == nil {
					failed.Add(1) // the next round tries again
				}
				wait = poll
			}
		})
	}
	defer running.Wait()
	defer stop()
	receipts := Receipts{Store: open(private), Path: "demo"}
	for joined := 0; joined < hosts; time.Sleep(poll / 10) {
		all, err := receipts.Members(ctx)
		if joined = len(all.Receipts); err != nil || ctx.Err() != nil {
			b.Fatalf("%d have joined: %v", joined, err)
		}
	}
	order := func(mode status.Mode) (last time.Duration) {
		g := &Ordering{
			Name: "demo", Public: open(public), Receipts: Receipts{Store: open(private), Path: "demo"}, Key: key, Now: time.Now,
			SwitchKey: statusKey, Words: func(was status.Document) (status.Document, status.Mode, error) {
				if was.Site == "" {
					was = status.Document{Version: status.Version, Site: "demo", Mode: status.Online, Since: time.Now()}
					was.AppURL, was.PageURL = "https://demo.example.org", "https://maintenance.example.org/"
				}
				return was, mode, nil
			},
		}
		g.Begin(mode)
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
		requests.Store(0)
		lists.Store(0)
		before := rounds.Load()
		time.Sleep(poll)
		b.ReportMetric(float64(requests.Load())/float64(rounds.Load()-before), "requests-per-poll-and-host(<=1.01)")
		b.ReportMetric(float64(requests.Load())/hosts/poll.Seconds(), "requests-per-s-and-host")
		b.ReportMetric(float64(lists.Load()), "lists-at-rest(0)")
		for _, o := range []struct {
			mode  status.Mode
			whole string
		}{{status.Offline, "closing"}, {status.Online, "opening"}} {
			requests.Store(0)
			lists.Store(0)
			b.ReportMetric(order(o.mode).Seconds(), o.whole+"-last-receipt-s(<=12)")
			b.ReportMetric(float64(requests.Load())/hosts, o.whole+"-requests-per-host")
			if o.mode == status.Offline {
				b.ReportMetric(float64(lists.Load()), "closing-lists-of-agents(0)")
			}
		}
	}
	b.ReportMetric(float64(failed.Load()), "failed-rounds(0)")
	b.ReportMetric(0, "ns/op")
}
