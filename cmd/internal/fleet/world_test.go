package fleet

import (
	"container/heap"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/msupply-foundation/conforma-status/status"
)

// A world is a fleet that is simulated: the decisions are the real ones; the store, its network, nginx, clocks and
// operators are made up, by chance from a seed. What it does is the same each time for a seed.

// fault takes a rule out of the world where it isn't one of the decisions'.
type fault int

const (
	_ fault = iota
	faultTwoObjects
	faultAnnounceUnconditional
	faultNewHostOpen
	faultReturningHostOpen
	faultRestartedIsSafe
	faultListedBefore
)

var (
	errLost   = errors.New("no answer")
	errAbsent = errors.New("there is none")
	errOther  = errors.New("another version is there")
)

var worldKey = []byte("a key of thirty-two bytes or more")

type event struct {
	at  int64 // milliseconds
	seq int
	do  func()
}

type queue []event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(e any)   { *q = append(*q, e.(event)) }
func (q *queue) Pop() any {
	e := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return e
}

// stored is one version of an object.
type stored[T any] struct {
	value   T
	version int
	evil    bool // put there by somebody who has stolen the publisher's key
}

type world struct {
	rng      *rand.Rand
	now      int64
	seq      int
	queue    queue
	without  rule
	fault    fault
	attacked bool
	calm     bool // nothing goes wrong any more

	sw       stored[status.Document]
	past     []status.Document // signed ones that were in the switch
	receipts map[string]stored[status.Receipt]
	versions int
	note     stored[Note] // version 0 for none
	unnoted  bool         // who orders may not write the note

	hosts []*simHost
	safe  int // how often "safe" was said
	open  int
	wrong []string
}

func newWorld(seed uint64, hosts int, without rule, fault fault, attacked bool) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 23)), without: without, fault: fault, attacked: attacked, receipts: map[string]stored[status.Receipt]{}}
	w.unnoted = seed%2 == 1
	d := status.Document{Version: 1, Site: "demo", Mode: status.Online, Since: w.clock(), UpdatedAt: w.clock()}
	w.putSwitch(Ordered(d, 1, status.Online, worldKey, w.clock()), false)
	for range hosts {
		w.join()
	}
	return w
}

func (w *world) clock() time.Time { return time.UnixMilli(w.now).UTC() }

func (w *world) chance(in1000 int) bool { return !w.calm && w.rng.IntN(1000) < in1000 }

// upTo is a time in milliseconds.
func (w *world) upTo(ms int64) int64 { return 1 + w.rng.Int64N(ms) }

func (w *world) after(ms int64, do func()) {
	w.seq++
	heap.Push(&w.queue, event{w.now + ms, w.seq, do})
}

func (w *world) runUntil(end int64) {
	for len(w.queue) > 0 && w.queue[0].at <= end {
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		e.do()
	}
	w.now = end
}

func (w *world) violated(format string, args ...any) {
	w.wrong = append(w.wrong, fmt.Sprintf("%d ms: ", w.now)+fmt.Sprintf(format, args...))
}

func (w *world) putSwitch(d status.Document, evil bool) {
	w.versions++
	w.sw = stored[status.Document]{d, w.versions, evil}
	if !evil {
		w.past = append(w.past, d)
	}
	w.check()
}

// check sees that visitors aren't told that the site is more open than some host is. One that has just begun serves
// nobody (it says so at /.conforma-status/health), and one that was closed alone, with the store away, can tell nobody.
func (w *world) check() {
	if w.attacked {
		return
	}
	for _, h := range w.hosts {
		if h.up && !h.disk.kept.Waits && !h.alone && h.disk.mode.StricterThan(w.sw.value.Mode) {
			w.violated("visitors are told %s, %s is %s", w.sw.value.Mode, h.name, h.disk.mode)
		}
	}
}

// call has the store do something, after a while or not at all; the answer comes after a while, or not at all.
func call[T any](w *world, p *process, exec func() (T, error), done func(T, error)) {
	life, answered := p.life, false
	finish := func(v T, err error) {
		if !answered && life == p.life {
			answered = true
			w.wake(p, life, func() { done(v, err) })
		}
	}
	var none T
	w.after(8000, func() { finish(none, errLost) }) // the store's own bound
	if w.chance(20) || p.cut {
		return
	}
	late := w.upTo(40)
	if w.chance(20) {
		late = w.upTo(20_000)
	}
	w.after(late, func() {
		if p.cut {
			return
		}
		v, err := exec()
		if w.chance(10) { // the network sends it twice
			w.after(w.upTo(10_000), func() { _, _ = exec() })
		}
		if w.chance(20) {
			return
		}
		w.after(w.upTo(40), func() { finish(v, err) })
	})
}

// wake goes on with a process, once it isn't stopped.
func (w *world) wake(p *process, life int, do func()) {
	switch {
	case life != p.life:
	case p.stopped:
		w.after(1000, func() { w.wake(p, life, do) })
	default:
		do()
	}
}

// ask reads the note of the orders.
func (w *world) ask(p *process, done func(stored[Note], *Note, error)) {
	call(w, p, func() (stored[Note], error) { return w.note, nil }, func(n stored[Note], err error) {
		if err != nil || n.version == 0 {
			done(n, nil, err)
			return
		}
		done(n, &n.value, nil)
	})
}

// raise writes the note over the version that was read, and no other.
func (w *world) raise(p *process, over int, n Note, done func(version int, err error)) {
	call(w, p, func() (int, error) {
		if w.note.version != over {
			return 0, errOther
		}
		w.versions++
		w.note = stored[Note]{value: n, version: w.versions}
		return w.versions, nil
	}, done)
}

// process is what can be killed, stopped and cut off.
type process struct {
	life         int
	stopped, cut bool
}

// list reads the names, then each receipt, which are not of one moment.
func (w *world) list(p *process, names []string, done func(Members, error)) {
	read := func(names []string) {
		all := Members{Unread: map[string]error{}}
		left := len(names)
		if left == 0 {
			done(all, nil)
		}
		for _, name := range names {
			call(w, p, func() (status.Receipt, error) {
				r, there := w.receipts[name]
				if !there {
					return r.value, errAbsent
				}
				return r.value, nil
			}, func(r status.Receipt, err error) {
				switch {
				case err == nil:
					all.Receipts = append(all.Receipts, r)
				case errors.Is(err, errLost):
					all.Unread[name] = err
				}
				if left--; left == 0 {
					slices.SortFunc(all.Receipts, func(a, b status.Receipt) int { return len(a.Host) - len(b.Host) })
					done(all, nil)
				}
			})
		}
	}
	if names != nil {
		read(names)
		return
	}
	call(w, p, func() ([]string, error) { return w.names(), nil }, func(names []string, err error) {
		if err != nil {
			done(Members{}, err)
			return
		}
		read(names)
	})
}

func (w *world) names() []string {
	names := []string{}
	for _, h := range w.hosts {
		if _, there := w.receipts[h.name]; there {
			names = append(names, h.name)
		}
	}
	return names
}

// swap puts a document over the version that was read, and no other. The answer to a write that was done is not lost on
// whoever asks again: the store knows the write by a word in it.
func (w *world) swap(p *process, over int, d status.Document, done func(error)) {
	wrote := false
	call(w, p, func() (int, error) {
		if w.sw.version != over && over >= 0 {
			if wrote {
				return 0, nil
			}
			return 0, errOther
		}
		d.Seq = w.sw.value.Seq + 1
		w.putSwitch(d, false)
		wrote = true
		return 0, nil
	}, func(_ int, err error) { done(err) })
}
