package fleet

import (
	"errors"
	"testing"

	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// TestNoNoteIsMadeOfSomeReceipts: the note says that no receipt is above its order, so none is made while a receipt
// can't be read. The hosts follow and tell all the same.
func TestNoNoteIsMadeOfSomeReceipts(t *testing.T) {
	public, private := dirStore(t), dirStore(t)
	const unread = "demo/hosts/app-9.json"
	if _, err := private.Put(t.Context(), unread, []byte("{"), store.Meta{}, store.Always()); err != nil {
		t.Fatal(err)
	}
	a := agentOf(1, public, private)
	order := func(mode status.Mode) error {
		if _, err := orderingOf(mode, public, private).Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := a.round(t.Context()); err != nil || a.disk.local.Mode != mode {
			t.Fatalf("%s is ordered, it is %s: %v", mode, a.disk.local.Mode, err)
		}
		if r := a.member.Told; r.Order != a.doc.Order || r.Mode != mode {
			t.Errorf("its receipt is %+v", r)
		}
		_, _, err := private.Get(t.Context(), NoteKey("demo"))
		return err
	}
	if err := a.round(t.Context()); err != nil { // it joins
		t.Fatal(err)
	}
	for _, mode := range []status.Mode{status.Offline, status.Online} {
		if err := order(mode); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s, and there is a note: %v", mode, err)
		}
	}
	if err := private.Delete(t.Context(), unread); err != nil {
		t.Fatal(err)
	}
	if err := order(status.Offline); err != nil {
		t.Error(err)
	}
}

// dirStore is an empty store.
func dirStore(t *testing.T) store.Store {
	t.Helper()
	s, err := store.Open("dir:"+t.TempDir(), store.S3Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestNumber: an order has a number above all that is known, whoever claims that there is none left.
func TestNumber(t *testing.T) {
	for name, c := range map[string]struct {
		own, noted, receipt, sw uint64
		unsigned                bool
		want                    uint64
	}{
		"the first":            {want: 1},
		"of this machine":      {own: 5, noted: 4, receipt: 3, sw: 2, want: 6},
		"of the note":          {own: 2, noted: 5, receipt: 4, sw: 3, want: 6},
		"of a receipt":         {own: 3, noted: 2, receipt: 5, sw: 4, want: 6},
		"of the switch":        {own: 4, noted: 3, receipt: 2, sw: 5, want: 6},
		"nobody signed that":   {receipt: 2, sw: status.MaxOrder, unsigned: true, want: 3},
		"a receipt has no end": {own: 4, receipt: status.MaxOrder, sw: 5, want: 6},
	} {
		t.Run(name, func(t *testing.T) {
			o := Orderer{Own: c.own}
			o.Saw(Switch{Order: c.sw, Signed: !c.unsigned})
			o.Asked(&Note{Highest: c.noted})
			o.Listed(Members{Receipts: []status.Receipt{{Order: c.receipt}}})
			if got := o.Next(); got.Do != Put || got.Order != c.want {
				t.Errorf("%+v, want order %d", got, c.want)
			}
		})
	}
}
