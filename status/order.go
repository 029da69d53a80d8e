package status

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// MaxOrder is the highest number of an order: what every reader of JSON keeps exactly (RFC 8259, section 6).
const MaxOrder = 1<<53 - 1

// orderPurpose keeps what signs orders apart from whatever else the key may be used for.
const orderPurpose = "fleet order 1"

// Sign signs the document's order: an HMAC-SHA256 (RFC 2104) of site, order and wanted mode with the key that the hosts
// share, in base64url without padding (RFC 4648, section 5). The key must not be empty.
func (d *Document) Sign(key []byte) { d.Signature = d.orderMAC(key) }

// IsSigned reports whether the document's order is signed with that key. It takes as long for a signature that is
// nearly right as for any other.
func (d Document) IsSigned(key []byte) bool {
	return len(key) > 0 && d.Order > 0 && hmac.Equal([]byte(d.Signature), []byte(d.orderMAC(key)))
}

// orderMAC is an HMAC of the parts of the order, each after its length: no two orders have the same text.
func (d Document) orderMAC(key []byte) string {
	mac := hmac.New(sha256.New, key)
	for _, part := range []string{orderPurpose, d.Site, string(d.Wanted)} {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		mac.Write([]byte(part))
	}
	mac.Write(binary.BigEndian.AppendUint64(nil, d.Order))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (d Document) checkOrder(f *problems) {
	if (d.Order == 0) != (d.Wanted == "") {
		f.add("order and wanted go together")
	}
	if d.Order > MaxOrder {
		f.add("order is above %d", uint64(MaxOrder))
	}
	if d.Wanted != "" {
		if _, err := ParseMode(string(d.Wanted)); err != nil {
			f.add("wanted: %w", err)
		}
	}
}
