package status

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"
)

// ReceiptVersion is the version of a host's receipt that this package reads and writes.
const ReceiptVersion = 1

// ErrReceiptVersion is returned (wrapped) by ParseReceipt for a receipt of a version that this package doesn't know.
var ErrReceiptVersion = errors.New("unknown version of the receipt")

// ReceiptOutcome is how far a host has got with an order.
type ReceiptOutcome string

// The outcomes of a receipt.
const (
	ReceiptOpen   ReceiptOutcome = "open"   // it is online
	ReceiptSafe   ReceiptOutcome = "safe"   // it is closed, and nothing that was let in before is left
	ReceiptShut   ReceiptOutcome = "shut"   // it lets nobody in, and hasn't got to what was ordered yet
	ReceiptFailed ReceiptOutcome = "failed" // it can't get there; Error says why
)

// Receipt is what one host of a fleet says of one site, at ReceiptKey in the private store. It alone writes it.
type Receipt struct {
	Version   int            `json:"version"` // always ReceiptVersion
	Host      string         `json:"host"`
	Instance  string         `json:"instance"` // of two machines with one name each has another
	Order     uint64         `json:"order"`    // the one that this is about, 0 before the first
	Mode      Mode           `json:"mode"`     // the one that its nginx is in
	Outcome   ReceiptOutcome `json:"outcome"`
	SafeSince *time.Time     `json:"safeSince"` // nil unless the outcome is safe
	Cut       int            `json:"cut"`       // connections that were cut
	Left      int            `json:"left"`      // connections that are still there
	Error     string         `json:"error"`     // "" for none
	Revision  string         `json:"revision"`  // of nginx's rules, "" for none
	UpdatedAt time.Time      `json:"updatedAt"` // by that host's clock
}

// hostName is a label of a host name (RFC 1123, section 2.1), or several with dots, in either case.
var hostName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)
})

// maxHostName is what a DNS name may have (RFC 1035, section 2.3.4), less the room for the ".json" of its receipt in a
// segment of a store's key.
const maxHostName = 240

// IsHostName reports whether a host of a fleet can be called that.
func IsHostName(s string) bool { return len(s) <= maxHostName && hostName().MatchString(s) }

// receiptDir is where the receipts of a site lie below its place in the store.
const receiptDir = "hosts/"

// ReceiptPrefix is what the keys of a site's receipts begin with; path is the site's place in the store, "" for the
// root.
func ReceiptPrefix(path string) string {
	if path == "" {
		return receiptDir
	}
	return path + "/" + receiptDir
}

// ReceiptKey is where a host's receipt for a site lies in the private store.
func ReceiptKey(path, host string) string { return ReceiptPrefix(path) + host + ".json" }

// ReceiptHost is the host whose receipt lies at that key below the prefix, false where it is no receipt's.
func ReceiptHost(prefix, key string) (string, bool) {
	name, below := strings.CutPrefix(key, prefix)
	host, json := strings.CutSuffix(name, ".json")
	return host, below && json && IsHostName(host)
}

// ParseReceipt reads a receipt, strictly: a host that says something that this program doesn't know isn't safe. The
// error wraps ErrReceiptVersion for one of another version.
func ParseReceipt(data []byte) (r Receipt, err error) {
	if err = checkVersion(data, ReceiptVersion, ErrReceiptVersion); err == nil {
		err = readStrictly(data, &r)
	}
	if err == nil {
		err = r.validate()
	}
	if err != nil {
		return Receipt{}, fmt.Errorf("parse the receipt: %w", err)
	}
	return r, nil
}

func (r Receipt) validate() error {
	var f problems
	if !IsHostName(r.Host) {
		f.add("host is no name")
	}
	if r.Instance == "" {
		f.add("instance is empty")
	}
	if r.Order > MaxOrder {
		f.add("order is above %d", uint64(MaxOrder))
	}
	if _, err := ParseMode(string(r.Mode)); err != nil {
		f.add("mode: %w", err)
	}
	switch r.Outcome {
	case ReceiptOpen:
		if r.Mode.Closed() {
			f.add("it says that it is open and %s", r.Mode)
		}
	case ReceiptSafe:
		if !r.Mode.Closed() {
			f.add("it says that it is safe and online")
		}
	case ReceiptShut, ReceiptFailed:
	default:
		f.add("unknown outcome %q", r.Outcome)
	}
	if (r.Outcome == ReceiptSafe) != (r.SafeSince != nil) {
		f.add("safe and safeSince go together")
	}
	if r.Cut < 0 || r.Left < 0 {
		f.add("a count is below 0")
	}
	if r.UpdatedAt.IsZero() {
		f.add("updatedAt is missing")
	}
	return errors.Join(f...)
}

// Marshal returns the receipt as it is stored: one line of JSON.
func (r Receipt) Marshal() []byte {
	r.Version, r.UpdatedAt, r.SafeSince = ReceiptVersion, stamp(r.UpdatedAt), stampPtr(r.SafeSince)
	return line(r)
}

// Says reports whether both receipts say the same, whenever they were written.
func (r Receipt) Says(other Receipt) bool {
	other.UpdatedAt = r.UpdatedAt
	return bytes.Equal(r.Marshal(), other.Marshal())
}
