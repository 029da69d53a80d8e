package webhook

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/status"
)

// TestReplace: what is known by then is delivered instead of what was known before. Where nobody knew better in time,
// that is.
func TestReplace(t *testing.T) {
	yes, no := true, false
	was := Of(Closed, began, status.Document{Site: "demo", Mode: status.Offline, Seq: 7}, status.Online)
	was.Data.Safe = &no
	safe := was
	safe.Data.Safe = &yes
	later := was
	later.At = began.Add(30 * time.Second)
	for name, now := range map[string]*Event{"nobody does": nil, "it is safe": &safe, "it isn't": &later} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t)
			hooks := []config.Webhook{r.Webhook}
			deliver := func() {
				if err := r.Deliver(t.Context(), r.queue, hooks); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.queue.AddFor(hooks, was, r.clock.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if deliver(); len(r.took) > 0 {
				t.Fatalf("it is delivered before its time: %+v", r.took)
			}
			want := was
			if now != nil {
				want = *now
				if err := r.queue.Replace(hooks, was, *now); err != nil {
					t.Fatal(err)
				}
				deliver()
			}
			r.clock.now = r.clock.now.Add(time.Hour)
			if deliver(); len(r.took) != 1 || !r.took[0].At.Equal(want.At) || *r.took[0].Data.Safe != *want.Data.Safe {
				t.Errorf("%+v is delivered, want %+v", r.took, want)
			}
		})
	}
}

// TestReplaceThatFails: the event that waits stays where the better one can't be written.
func TestReplaceThatFails(t *testing.T) {
	was := Of(Closed, began, status.Document{Site: "demo", Mode: status.Offline, Seq: 7}, status.Online)
	later := was
	later.At = began.Add(30 * time.Second)
	r := newReceiver(t)
	hooks := []config.Webhook{r.Webhook}
	if err := r.queue.AddFor(hooks, was, r.clock.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	inTheWay := r.queue.file(r.Webhook, pendingOf(later))
	if err := os.Mkdir(inTheWay, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := r.queue.Replace(hooks, was, later); err == nil {
		t.Fatal("it says nothing")
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	r.clock.now = r.clock.now.Add(time.Hour)
	if err := r.Deliver(t.Context(), r.queue, hooks); err != nil || len(r.took) != 1 || !r.took[0].At.Equal(was.At) {
		t.Errorf("%+v is delivered, %v, want %+v", r.took, err, was)
	}
}

// TestTakenMeanwhile: another command delivers while this one queues. It finds no event before its time, and this one
// doesn't mind that what it has queued is gone.
func TestTakenMeanwhile(t *testing.T) {
	r := newReceiver(t)
	hooks := []config.Webhook{r.Webhook}
	then := r.clock.Now().Add(time.Hour)
	queued := make(chan struct{})
	var other sync.WaitGroup
	other.Go(func() {
		for {
			entries, err := r.queue.entries(r.Webhook)
			if err != nil {
				t.Error(err)
			}
			for _, e := range entries {
				if !e.next.Equal(then) {
					t.Errorf("%s is due at %v, want %v", filepath.Base(e.path), e.next, then)
				}
				_ = os.Remove(e.path) // Replace may have been quicker
			}
			select {
			case <-queued:
				return
			default:
			}
		}
	})
	for n := range uint64(50) {
		was := Of(Closed, then, status.Document{Site: "demo", Mode: status.Offline, Seq: n}, status.Online)
		now := was
		now.Type = Opened
		if err := errors.Join(r.queue.AddFor(hooks, was, then), r.queue.Replace(hooks, was, now)); err != nil {
			t.Error(err)
		}
	}
	close(queued)
	other.Wait()
}

// TestReplacedMeanwhile: an event that is replaced while it is delivered holds those behind it up no longer.
func TestReplacedMeanwhile(t *testing.T) {
	r := newReceiver(t)
	p := pendingOf(Of(Closed, began, status.Document{Site: "demo", Mode: status.Offline}, status.Online))
	if err := errors.Join(os.MkdirAll(r.queue.of(r.Webhook), 0o700), r.queue.delivered(r.Webhook, p), r.queue.giveUp(r.Webhook, p, began)); err != nil {
		t.Error(err)
	}
}
