package status

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Version is the version of the status document that this package reads and writes.
const Version = 1

// Names of the files that lie side by side in the store, below a site's path.
const (
	FileName       = "status.json"
	SchemaFileName = "status.schema.json"
)

// MaxMessage is the longest message, in characters (Unicode code points), that a document may carry.
// It is shown in full on a phone's screen; a longer text belongs on the maintenance page.
const MaxMessage = 2000

// ErrVersion is returned (wrapped) by Parse for a document of a version that this package doesn't know.
var ErrVersion = errors.New("unknown version of the status document")

//go:embed status.schema.json
var schema []byte

// Schema returns the JSON Schema (draft 2020-12) of the status document, as published beside it.
func Schema() []byte { return bytes.Clone(schema) }

// Document is what status.json says about one site. All times are UTC with a resolution of a second.
type Document struct {
	Version int    `json:"version"` // always Version
	Site    string `json:"site"`    // the site's name in the configuration
	Mode    Mode   `json:"mode"`
	Seq     uint64 `json:"seq"` // grows with every change of the document, never shrinks
	// Order counts the orders to a fleet of hosts, 0 where there is no fleet; of two the higher one counts.
	Order uint64 `json:"order,omitempty"`
	// Wanted is the mode that the order asks for, "" where there is none. While a site opens, Mode is stricter.
	Wanted Mode `json:"wanted,omitempty"`
	// Signature says who gave the order, see Sign.
	Signature string `json:"signature,omitempty"`
	// Since is when the site left, or came back to, normal functioning; a change between offline and
	// admin keeps it.
	Since time.Time `json:"since"`
	// ExpectedUntil is when the site is expected to be online again; nil when nobody has said.
	ExpectedUntil *time.Time `json:"expectedUntil"`
	Message       *string    `json:"message"` // plain text in the site's main language, nil when there is none
	// Messages holds the message in other languages, by BCP 47 tag; nil when there are none.
	Messages map[string]string `json:"messages"`
	Next     *Window           `json:"next"` // the next announced maintenance window, nil when there is none
	AppURL   string            `json:"appUrl"`
	PageURL  string            `json:"pageUrl"`
	// ServiceWorker has the client register the site's service worker; absent where it is false.
	ServiceWorker bool `json:"serviceWorker,omitempty"`
	// UpdatedAt is when this document was made.
	UpdatedAt time.Time `json:"updatedAt"`
}

// Window is an announced maintenance window. Until may be nil when its end is not known.
type Window struct {
	From  time.Time  `json:"from"`
	Until *time.Time `json:"until"`
}

// Parse reads a status document. It ignores keys that it doesn't know, as the contract with readers asks. The error
// wraps ErrVersion for a document of another version; otherwise it says what isn't valid.
func Parse(data []byte) (d Document, err error) {
	if err = checkVersion(data, Version, ErrVersion); err == nil {
		err = json.Unmarshal(data, &d)
	}
	if err == nil {
		err = d.Validate()
	}
	if err != nil {
		return Document{}, fmt.Errorf("parse status document: %w", err)
	}
	return d, nil
}

// Marshal returns the document as it is published: one line of JSON ending in a newline. Two documents
// that say the same have the same bytes.
func (d Document) Marshal() []byte {
	d.Since = stamp(d.Since)
	d.UpdatedAt = stamp(d.UpdatedAt)
	d.ExpectedUntil = stampPtr(d.ExpectedUntil)
	if d.Next != nil {
		d.Next = &Window{From: stamp(d.Next.From), Until: stampPtr(d.Next.Until)}
	}
	if len(d.Messages) == 0 {
		d.Messages = nil
	}
	return line(d)
}

// Same reports whether both documents tell visitors the same thing: whether they differ in nothing but
// Seq and UpdatedAt.
func (d Document) Same(other Document) bool {
	d.Seq, d.UpdatedAt = other.Seq, other.UpdatedAt
	return bytes.Equal(d.Marshal(), other.Marshal())
}

// Validate returns nil, or every fault of the document joined (errors.Join).
func (d Document) Validate() error {
	var f problems
	if d.Version != Version {
		f.add("version is %d, want %d", d.Version, Version)
	}
	if d.Site == "" {
		f.add("site is empty")
	}
	if _, err := ParseMode(string(d.Mode)); err != nil {
		f.add("mode: %w", err)
	}
	d.checkOrder(&f)
	d.checkTimes(&f)
	d.checkMessages(&f)
	for _, u := range []struct{ key, value string }{{"appUrl", d.AppURL}, {"pageUrl", d.PageURL}} {
		if err := validateURL(u.value); err != nil {
			f.add("%s: %w", u.key, err)
		}
	}
	d.checkNext(&f)
	return errors.Join(f...)
}

// problems are what is wrong with a document.
type problems []error

func (f *problems) add(format string, args ...any) { *f = append(*f, fmt.Errorf(format, args...)) }

func (d Document) checkTimes(f *problems) {
	if stamp(d.Since).IsZero() {
		f.add("since is missing")
	}
	if stamp(d.UpdatedAt).IsZero() {
		f.add("updatedAt is missing")
	}
	times := []*time.Time{&d.Since, d.ExpectedUntil, &d.UpdatedAt}
	if d.Next != nil {
		times = append(times, &d.Next.From, d.Next.Until)
	}
	for _, t := range times {
		// In UTC, as it is written: an offset can carry a time that was read into the year 10000.
		if t != nil && (t.UTC().Year() < 0 || t.UTC().Year() > 9999) {
			f.add("time %v can't be written as RFC 3339", *t)
		}
	}
}

func (d Document) checkMessages(f *problems) {
	if d.Message != nil {
		if err := ValidateMessage(*d.Message); err != nil {
			f.add("message: %w", err)
		}
	}
	for _, lang := range slices.Sorted(maps.Keys(d.Messages)) {
		if !languageTag().MatchString(lang) {
			f.add("messages: %q is not a language tag", lang)
		}
		if err := ValidateMessage(d.Messages[lang]); err != nil {
			f.add("messages.%s: %w", lang, err)
		}
	}
}

func (d Document) checkNext(f *problems) {
	if d.Next == nil {
		return
	}
	if stamp(d.Next.From).IsZero() {
		f.add("next.from is missing")
	}
	if d.Next.Until != nil && !stamp(*d.Next.Until).After(stamp(d.Next.From)) {
		f.add("next.until is not after next.from")
	}
}

// ValidateMessage returns an error when text can't be a message to visitors: when it is empty, longer
// than MaxMessage characters, not UTF-8, or holds control characters other than newline and tab.
func ValidateMessage(text string) error {
	if strings.TrimSpace(text) == "" {
		return errors.New("is empty")
	}
	if !utf8.ValidString(text) {
		return errors.New("is not valid UTF-8")
	}
	if n := utf8.RuneCountInString(text); n > MaxMessage {
		return fmt.Errorf("is %d characters long, at most %d fit", n, MaxMessage)
	}
	for _, r := range text {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return fmt.Errorf("holds the control character %U", r)
		}
	}
	return nil
}

// validateURL accepts absolute http and https URLs without credentials, their scheme in lower case as the
// schema has it.
func validateURL(s string) error {
	u, err := url.Parse(s)
	if err != nil {
		return errors.New("is not a URL")
	}
	if u.User != nil {
		return errors.New("carries a user name or password")
	}
	if !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://") || u.Hostname() == "" {
		return fmt.Errorf("%q is not an absolute http or https URL", s)
	}
	return nil
}

func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func stampPtr(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	s := stamp(*t)
	return &s
}
