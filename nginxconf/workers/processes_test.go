package workers

import (
	"reflect"
	"slices"
	"testing"
)

func TestOldWorkersAreToldFromNewOnes(t *testing.T) {
	const master = 1000
	b := Snapshot{master: master, processes: map[Process]process{{PID: 10, Start: 50}: {}}, tick: 100}
	worker := func(pid int, start uint64, more ...func(*process)) process {
		p := process{Process: Process{PID: pid, Start: start}, parent: master}
		for _, f := range more {
			f(&p)
		}
		return p
	}
	leaves := func(p *process) { p.shuttingDown = true }
	orphan := func(p *process) { p.parent = 1 }
	for _, tt := range []struct {
		name     string
		answered []int
		workers  []process
		old      []int
	}{
		{"there before", nil, []process{worker(10, 50), worker(20, 120)}, []int{10}},
		{"started with the snapshot", nil, []process{worker(11, 100), worker(12, 101)}, []int{11}},
		{"the same id, started anew", nil, []process{worker(10, 120)}, nil},
		{"says that it leaves", nil, []process{worker(20, 120, leaves)}, []int{20}},
		{"somebody else's reload between", []int{30}, []process{worker(20, 120), worker(21, 121), worker(30, 131), worker(31, 132)}, []int{20, 21}},
		{"the last of a generation has answered", []int{31}, []process{worker(20, 120), worker(30, 130), worker(31, 133)}, []int{20}},
		{"the first of two generations that have answered counts", []int{30, 40}, []process{worker(20, 120), worker(30, 131), worker(40, 150)}, []int{20}},
		{"what has answered is gone", []int{99}, []process{worker(20, 120), worker(30, 131)}, nil},
		{"another nginx's process with that id", []int{30}, []process{worker(20, 120), worker(30, 131, orphan)}, nil},
		{"right after the snapshot", []int{20}, []process{worker(20, 101)}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := b
			for _, pid := range tt.answered {
				b.NoteAnswer(pid)
			}
			ps := processes{}
			for _, w := range tt.workers {
				ps[w.PID] = w
			}
			var old []int
			for _, w := range tt.workers {
				if b.old(w, b.since(ps)) {
					old = append(old, w.PID)
				}
			}
			slices.Sort(old)
			if !reflect.DeepEqual(old, tt.old) {
				t.Errorf("old are %v, want %v", old, tt.old)
			}
		})
	}
}

func TestWorkersThatNeverLearnOfAReload(t *testing.T) {
	b := Snapshot{master: 1000, processes: map[Process]process{
		{PID: 1000}: {master: true, parent: 900},
		{PID: 900}:  {master: true, parent: 1}, // of an upgrade that isn't finished
		{PID: 10}:   {parent: 1000},
		{PID: 20}:   {parent: 900},
		{PID: 30}:   {parent: 1}, // its master was killed
	}}
	for pid, want := range map[int]struct{ notTold, orphan bool }{
		1000: {}, 900: {}, 10: {}, 20: {notTold: true}, 30: {notTold: true, orphan: true}, 40: {},
	} {
		if got := b.NotTold(pid); got != want.notTold {
			t.Errorf("process %d: never learns of a reload is %v", pid, got)
		}
		if _, got := b.Orphan(pid); got != want.orphan {
			t.Errorf("process %d: its master is gone is %v", pid, got)
		}
	}
}
