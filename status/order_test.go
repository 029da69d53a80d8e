package status

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestSign(t *testing.T) {
	key := []byte(strings.Repeat("k", 32))
	d := demo()
	d.Order, d.Wanted = 7, Online
	d.Sign(key)
	if !d.IsSigned(key) {
		t.Fatal("it doesn't know its own signature")
	}
	if err := d.Validate(); err != nil {
		t.Error(err)
	}
	if d.Same(demo()) {
		t.Error("an order is taken for nothing new")
	}
	if grown := len(d.Marshal()) - len(demo().Marshal()); grown > 120 {
		t.Errorf("an order makes the document %d bytes longer", grown)
	}
	words := d
	words.Mode, words.Seq, words.Message = Offline, 99, nil
	if !words.IsSigned(key) {
		t.Error("what visitors are told is signed too: then no word of it could be changed without the key")
	}
	for name, change := range map[string]func(*Document){
		"the order": func(d *Document) { d.Order++ },
		"the mode":  func(d *Document) { d.Wanted = Admin },
		"the site":  func(d *Document) { d.Site = "other" },
		"no signature": func(d *Document) {
			d.Signature = ""
		},
		"no order": func(d *Document) { d.Order = 0 },
	} {
		other := d
		if change(&other); other.IsSigned(key) {
			t.Errorf("%s changed: it is still signed", name)
		}
	}
	if d.IsSigned([]byte("another key of thirty-two bytes!")) || d.IsSigned(nil) {
		t.Error("it is signed with another key too")
	}
}

func TestParseReceipt(t *testing.T) {
	at := time.Date(2026, 11, 22, 21, 15, 0, 0, time.UTC)
	r := Receipt{
		Host: "app-1", Instance: "ABC", Order: 7, Mode: Offline, Outcome: ReceiptSafe, SafeSince: &at,
		Cut: 1, Left: 0, Revision: "4-01234567", UpdatedAt: at,
	}
	const text = `{"version":1,"host":"app-1","instance":"ABC","order":7,"mode":"offline","outcome":"safe",` +
		`"safeSince":"2026-11-22T21:15:00Z","cut":1,"left":0,"error":"","revision":"4-01234567","updatedAt":"2026-11-22T21:15:00Z"}` + "\n"
	if got := string(r.Marshal()); got != text {
		t.Errorf("marshalled:\n%swant:\n%s", got, text)
	}
	back, err := ParseReceipt([]byte(text))
	if err != nil || !back.Says(r) {
		t.Errorf("%+v, %v", back, err)
	}
	for name, c := range map[string]struct{ was, is, wants string }{
		"the future":           {`"version":1`, `"version":2`, "unknown version"},
		"no version":           {`"version":1,`, ``, "no version"},
		"a key too many":       {`"cut"`, `"new":1,"cut"`, "unknown field"},
		"safe without since":   {`"2026-11-22T21:15:00Z","cut"`, `null,"cut"`, "go together"},
		"safe and online":      {`"mode":"offline"`, `"mode":"online"`, "safe and online"},
		"open and closed":      {`"outcome":"safe"`, `"outcome":"open"`, "open and offline"},
		"another outcome":      {`"outcome":"safe"`, `"outcome":"fine"`, "unknown outcome"},
		"another mode":         {`"mode":"offline"`, `"mode":"shut"`, "unknown mode"},
		"a host that is none":  {`"host":"app-1"`, `"host":"../x"`, "host"},
		"no instance":          {`"instance":"ABC"`, `"instance":""`, "instance"},
		"an order below 0":     {`"order":7`, `"order":-7`, "cannot unmarshal"},
		"more than it holds":   {`"order":7`, `"order":9007199254740992`, "order is above"},
		"less than none":       {`"left":0`, `"left":-1`, "below 0"},
		"something behind it":  {"Z\"}\n", "Z\"}{}", "parse"},
		"not JSON":             {"{", "[", "parse"},
		"it was never written": {`"updatedAt":"2026-11-22T21:15:00Z"`, `"updatedAt":"0001-01-01T00:00:00Z"`, "updatedAt"},
	} {
		_, err := ParseReceipt([]byte(strings.Replace(text, c.was, c.is, 1)))
		if err == nil || !strings.Contains(err.Error(), c.wants) {
			t.Errorf("%s: %v, want %q", name, err, c.wants)
		}
		if future := name == "the future"; errors.Is(err, ErrReceiptVersion) != future {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReceiptKey(t *testing.T) {
	for _, c := range []struct{ path, host, key string }{
		{"demo", "app-1", "demo/hosts/app-1.json"}, {"", "app-1", "hosts/app-1.json"}, {"a/b", "ip-10-0-0-1.internal", "a/b/hosts/ip-10-0-0-1.internal.json"},
	} {
		if key := ReceiptKey(c.path, c.host); key != c.key {
			t.Errorf("%s, want %s", key, c.key)
		}
		if host, is := ReceiptHost(ReceiptPrefix(c.path), c.key); !is || host != c.host {
			t.Errorf("%s: %s, %v", c.key, host, is)
		}
	}
	for _, key := range []string{"demo/hosts/x/y.json", "demo/hosts/x", "demo/hosts/.json", "other/hosts/x.json", "demo/hosts/-.json"} {
		if host, is := ReceiptHost("demo/hosts/", key); is {
			t.Errorf("%s is the receipt of %s", key, host)
		}
	}
}

func FuzzParseReceipt(f *testing.F) {
	f.Add([]byte(`{"version":1,"host":"a","instance":"b","order":0,"mode":"online","outcome":"open","safeSince":null,"cut":0,"left":0,"error":"","revision":"","updatedAt":"2026-11-22T21:15:00Z"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseReceipt(data)
		if err != nil {
			return
		}
		if again, err := ParseReceipt(r.Marshal()); err != nil || !again.Says(r) {
			t.Errorf("%s is read as %+v, and that as %+v: %v", data, r, again, err)
		}
	})
}
