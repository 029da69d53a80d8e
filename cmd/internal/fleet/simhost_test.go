package fleet

import (
	"errors"
	"fmt"

	"github.com/msupply-foundation/conforma-status/status"
)

// simHost is a machine with its disk, its nginx and application, and the agent on it.
type simHost struct {
	w    *world
	name string
	process
	up, forgotten bool
	disk          struct {
		kept Kept
		mode status.Mode // of the rules, with the closed file where that is offline
		safe bool        // it is written down that nothing of before is left
	}
	work     int   // requests that the application is at work on
	alone    bool  // it was closed alone, and hasn't got to an order since
	pace     int64 // of its clock, in thousandths
	m        *Member
	version  int // of its own receipt, as it knows it; 0 for none
	sw       stored[status.Document]
	note     int // the version of the note that was read
	changing int // grows with each change of nginx
}

func (w *world) join() *simHost {
	h := &simHost{w: w, name: fmt.Sprintf("%c", 'a'+len(w.hosts)%26), pace: 500 + w.rng.Int64N(1500)}
	for range len(w.hosts) / 26 {
		h.name += "x"
	}
	h.disk.mode = status.Online
	w.hosts = append(w.hosts, h)
	h.boot()
	w.after(w.upTo(300), h.traffic)
	return h
}

// lets reports whether nginx lets anybody in.
func (h *simHost) lets() bool { return h.up && !h.disk.kept.Waits && h.disk.mode != status.Offline }

// traffic sends a request now and then.
func (h *simHost) traffic() {
	if h.lets() {
		h.work++
		up := h.life
		h.w.after(h.w.upTo(3000), func() {
			if h.work > 0 && (up == h.life || h.up) {
				h.work--
			}
		})
	}
	h.w.after(h.w.upTo(600), h.traffic)
}

// boot starts the machine.
func (h *simHost) boot() {
	returning := h.disk.kept.Order > 0
	waits := !(returning && h.w.fault == faultReturningHostOpen) && !(!returning && h.w.fault == faultNewHostOpen)
	h.work, h.up = 0, true
	h.disk.kept.Waits = waits
	h.start()
}

// start starts the agent.
func (h *simHost) start() {
	h.life++
	h.changing++
	h.m = &Member{Host: h.name, Instance: h.name, Kept: h.disk.kept, Local: h.local(), without: h.w.without}
	if h.w.fault == faultRestartedIsSafe && h.disk.mode.Closed() {
		h.disk.safe = true
		h.m.Local = h.local()
	}
	h.version = -1
	life := h.life
	h.w.after(h.w.upTo(500), func() { h.w.wake(&h.process, life, h.round) })
}

func (h *simHost) local() Local {
	l := Local{Mode: h.disk.mode}
	if h.disk.safe {
		since := h.w.clock()
		l.SafeSince = &since
	}
	return l
}

func (h *simHost) powerOff() {
	h.life++
	h.changing++
	h.up, h.work, h.stopped, h.cut = false, 0, false, false
}

func (h *simHost) rest() {
	life := h.life
	h.w.after(5000*h.pace/1000, func() { h.w.wake(&h.process, life, h.round) })
}

func (h *simHost) round() {
	h.m.Begin(h.w.clock())
	h.step()
}

func (h *simHost) step() {
	switch s := h.m.Next(); s.Do {
	case Rest:
		h.rest()
	case Tell:
		h.tell(s.Receipt)
	case Look:
		call(h.w, &h.process, func() (stored[status.Document], error) { return h.w.sw, nil }, func(sw stored[status.Document], err error) {
			if h.sw = sw; err != nil {
				h.m.Saw(nil)
			} else {
				seen := SwitchOf(sw.value, worldKey)
				h.m.Saw(&seen)
			}
			h.step()
		})
	case List:
		h.w.list(&h.process, nil, func(all Members, err error) {
			if err != nil || len(all.Unread) > 0 {
				h.rest()
				return
			}
			h.m.Listed(all)
			h.step()
		})
	case Ask:
		h.w.ask(&h.process, func(there stored[Note], n *Note, err error) {
			if err != nil {
				h.rest()
				return
			}
			h.note = there.version
			h.m.Asked(n)
			h.step()
		})
	case Raise:
		h.w.raise(&h.process, h.note, s.Note, func(version int, err error) {
			if err != nil && !errors.Is(err, errOther) {
				h.rest()
				return
			}
			h.note = version
			h.m.Raised(s.Note, err == nil)
			h.step()
		})
	case Apply:
		h.disk.kept = h.m.Before(s)
		h.apply(s)
	case Announce:
		over := h.sw.version
		if h.w.fault == faultAnnounceUnconditional {
			over = -1
		}
		h.w.swap(&h.process, over, Announced(h.sw.value, s.Mode, h.w.clock()), func(error) { h.rest() })
	case Order:
		if newest := h.w.past[len(h.w.past)-1]; newest.Order > h.m.Kept.Order && h.sw.value.Order == newest.Order && !h.w.attacked {
			h.w.violated("%s orders what it did alone after order %d, over order %d", h.name, h.m.Kept.Order, newest.Order)
		}
		h.w.swap(&h.process, h.sw.version, Ordered(h.sw.value, s.Order, s.Mode, worldKey, h.w.clock()), func(error) { h.rest() })
	}
}

// tell writes the receipt over the version that the host knows.
func (h *simHost) tell(r status.Receipt) {
	put := func() {
		over := h.version
		call(h.w, &h.process, func() (int, error) {
			if h.w.receipts[h.name].version != over {
				return 0, errOther
			}
			h.w.versions++
			h.w.receipts[h.name] = stored[status.Receipt]{value: r, version: h.w.versions}
			return h.w.versions, nil
		}, func(version int, err error) {
			if err != nil {
				h.version = -1 // it is read before the next attempt
				h.rest()
				return
			}
			h.version = version
			h.m.Stored(r)
			h.step()
		})
	}
	if h.version >= 0 {
		put()
		return
	}
	call(h.w, &h.process, func() (stored[status.Receipt], error) {
		there, is := h.w.receipts[h.name]
		if !is {
			return there, errAbsent
		}
		return there, nil
	}, func(there stored[status.Receipt], err error) {
		switch {
		case errors.Is(err, errAbsent) && h.m.Joined:
			h.m.Gone()
			h.disk.kept = h.m.Kept
			h.version = 0
			h.step()
		case err != nil && !errors.Is(err, errAbsent):
			h.rest()
		default:
			h.version = there.version
			put()
		}
	})
}

// apply brings nginx to a mode.
func (h *simHost) apply(s Step) {
	w, life := h.w, h.life
	h.changing++
	changing := h.changing
	is := func() bool { return life == h.life && changing == h.changing }
	done := func() {
		w.wake(&h.process, life, func() {
			h.alone = false
			h.disk.kept = h.m.Applied(s, h.local(), w.clock())
			h.step()
		})
	}
	if !s.Mode.StricterThan(h.disk.mode) && s.Mode != h.disk.mode { // it opens
		for _, r := range w.receipts {
			if h.sw.evil && r.value.Order > h.sw.value.Order && r.version < h.sw.version {
				w.violated("%s goes %s by order %d, which a thief has put back after order %d", h.name, s.Mode, h.sw.value.Order, r.value.Order)
				break
			}
		}
		if h.sw.evil && !h.sw.value.IsSigned(worldKey) {
			w.violated("%s goes %s by an order that nobody signed", h.name, s.Mode)
		}
		w.after(w.upTo(200), func() {
			if is() {
				h.disk.mode, h.disk.safe = s.Mode, s.Mode.Closed()
				done()
			}
		})
		return
	}
	w.after(w.upTo(50), func() {
		if !is() {
			return
		}
		if h.disk.mode != s.Mode {
			h.disk.mode, h.disk.safe = s.Mode, false
		}
		w.check()
		var drained func()
		drained = func() {
			switch {
			case !is():
			case h.disk.mode == status.Offline && h.work > 0 && !h.disk.safe:
				w.after(100, drained)
			default:
				h.disk.safe = s.Mode.Closed()
				done()
			}
		}
		if h.w.without == ruleReceiptAfterDrain && h.disk.mode.Closed() && !h.disk.safe {
			done()
			return
		}
		w.after(1, drained)
	})
}
