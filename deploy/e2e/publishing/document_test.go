package publishing

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/msupply-foundation/conforma-status/status"
)

func someDocument() status.Document {
	at := time.Date(2026, 11, 22, 21, 15, 0, 0, time.UTC)
	return status.Document{
		Version: status.Version, Site: "demo", Mode: status.Offline, Seq: 42, Since: at, UpdatedAt: at,
		AppURL: "https://demo.example.org:50000", PageURL: "https://maintenance.example.org/",
	}
}

// TestWhatIsWrittenFitsTheSchema holds documents that are valid to the code, odd ones too, against the schema.
func TestWhatIsWrittenFitsTheSchema(t *testing.T) {
	schema := compileSchema(t, status.Schema())
	message := func(text string) func(*status.Document) { return func(d *status.Document) { d.Message = &text } }
	late := time.Date(9999, 12, 31, 23, 59, 59, 999, time.UTC)
	for name, change := range map[string]func(*status.Document){
		"as it is":            func(*status.Document) {},
		"online":              func(d *status.Document) { d.Mode = status.Online },
		"admin":               func(d *status.Document) { d.Mode = status.Admin },
		"the first":           func(d *status.Document) { d.Seq = 0 },
		"the last":            func(d *status.Document) { d.Seq = math.MaxUint64 },
		"any site":            func(d *status.Document) { d.Site = "é \"$\u2028" },
		"the end of time":     func(d *status.Document) { d.Since, d.ExpectedUntil, d.UpdatedAt = late, &late, late },
		"long ago":            func(d *status.Document) { d.Since = time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC) },
		"another zone":        func(d *status.Document) { d.Since = d.Since.In(time.FixedZone("", 13*3600+1800)) },
		"a fraction":          func(d *status.Document) { d.Since = d.Since.Add(time.Nanosecond) },
		"markup":              message("</script>\n\t\"$x\" & 'y'"),
		"a character":         message("🛠"),
		"the longest message": message(strings.Repeat("🛠", status.MaxMessage)),
		"languages":           func(d *status.Document) { d.Messages = map[string]string{"pt": "a", "zh-Hant-TW": "b", "ES": "c"} },
		"no languages":        func(d *status.Document) { d.Messages = map[string]string{} },
		"a window":            func(d *status.Document) { d.Next = &status.Window{From: d.Since, Until: &late} },
		"an open window":      func(d *status.Document) { d.Next = &status.Window{From: d.Since} },
		"plain HTTP":          func(d *status.Document) { d.AppURL, d.PageURL = "http://a", "http://b" },
		"IPv6":                func(d *status.Document) { d.AppURL = "https://[2001:db8::1]:8443/a" },
		"a port and a path":   func(d *status.Document) { d.PageURL = "http://127.0.0.1:18000/a/b%20c/?q#f" },
		"another script":      func(d *status.Document) { d.PageURL = "https://exämple.org/é/" },
	} {
		d := someDocument()
		change(&d)
		if err := d.Validate(); err != nil {
			t.Errorf("%s: not valid: %v", name, err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(d.Marshal()))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v in %s", name, err, d.Marshal())
		}
	}
}

// TestSchemaAndCodeAgree changes one key of a good document at a time. The schema and the code refuse the same, but
// for what a schema can't say, and for what the code reads though it never writes it.
func TestSchemaAndCodeAgree(t *testing.T) {
	const (
		both     = iota // refuse it
		neither         // refuses it
		codeOnly        // refuses it: a schema can't say it
		lenient         // the schema refuses it, and the code reads it: from others it takes more than it writes
	)
	const gone = "\x00" // in place of a value: the key is left out
	schema := compileSchema(t, status.Schema())
	for _, c := range []struct {
		key    string
		values []string // as JSON
		who    int
	}{
		{"x-unknown", []string{`null`, `1`, `{"mode":"online"}`}, neither},
		{"version", []string{gone, `null`, `0`, `2`, `"1"`, `1.5`, `true`}, both},
		{"site", []string{gone, `null`, `""`, `5`, `["demo"]`}, both},
		{"mode", []string{gone, `null`, `""`, `"open"`, `"OFFLINE"`, `"offline "`, `1`}, both},
		{"mode", []string{`"online"`, `"admin"`}, neither},
		{"seq", []string{`-1`, `1.5`, `"1"`, `true`}, both},
		{"seq", []string{gone, `null`}, lenient},
		{"since", []string{gone, `null`, `""`, `"yesterday"`, `1795382100`, `"2026-11-22"`, `"2026-11-22T21:15:00"`, `"2026-11-22 21:15:00Z"`, `"2026-02-30T00:00:00Z"`, `"2026-11-22T25:00:00Z"`}, both},
		{"since", []string{`"2026-11-22T21:15:00.5Z"`, `"2026-11-22T21:15:00Z"`}, neither},
		{"since", []string{`"2026-11-22T22:15:00+01:00"`}, lenient},
		{"since", []string{`"0001-01-01T00:00:00Z"`}, codeOnly},
		{"updatedAt", []string{gone, `null`, `"now"`, `5`}, both},
		{"expectedUntil", []string{`""`, `"soon"`, `5`, `false`, `{}`}, both},
		{"expectedUntil", []string{`null`, `"2026-11-22T21:45:00Z"`, `"2020-01-01T00:00:00Z"`}, neither},
		{"expectedUntil", []string{gone}, lenient},
		{"message", []string{`5`, `{}`, `["a"]`, `"` + strings.Repeat("a", 2001) + `"`, `"` + strings.Repeat("🛠", 2001) + `"`}, both},
		{"message", []string{`null`, `"a"`, `"` + strings.Repeat("🛠", 2000) + `"`}, neither},
		{"message", []string{`""`, `" "`, `"\u0000"`, `"\u001b[31m"`}, codeOnly},
		{"message", []string{gone}, lenient},
		{"messages", []string{`"a"`, `["a"]`, `{"pt":5}`, `{"pt":null}`, `{"":"a"}`, `{"p":"a"}`, `{"pt_BR":"a"}`, `{"pt ":"a"}`, `{"pt-":"a"}`, `{"pt":"` + strings.Repeat("a", 2001) + `"}`}, both},
		{"messages", []string{`null`, `{}`, `{"pt":"a","pt-BR":"b"}`}, neither},
		{"messages", []string{`{"pt":""}`, `{"pt":"\u0007"}`}, codeOnly},
		{"messages", []string{gone}, lenient},
		{"next", []string{`"soon"`, `5`, `[]`, `{}`, `{"until":null}`, `{"from":null,"until":null}`, `{"from":"x","until":null}`, `{"from":"2026-11-22T21:15:00Z","until":"x"}`}, both},
		{"next", []string{`null`, `{"from":"2026-11-22T21:15:00Z","until":null}`, `{"from":"2026-11-22T21:15:00Z","until":"2026-11-22T21:45:00Z","x":1}`}, neither},
		{"next", []string{`{"from":"2026-11-22T21:15:00Z","until":"2026-11-22T21:15:00Z"}`, `{"from":"2026-11-22T21:15:00Z","until":"2020-01-01T00:00:00Z"}`}, codeOnly},
		{"next", []string{gone, `{"from":"2026-11-22T21:15:00Z"}`}, lenient},
		{"appUrl", []string{gone, `null`, `""`, `5`, `"demo.example.org"`, `"/app"`, `"//demo.example.org"`, `"ftp://demo.example.org"`, `"javascript:alert(1)"`, `"HTTPS://demo.example.org"`, `"https://a b/"`}, both},
		{"pageUrl", []string{gone, `null`, `""`, `5`, `"maintenance.example.org"`, `"data:text/html,x"`}, both},
		{"pageUrl", []string{`"https://"`, `"https://:443/"`, `"https://u:p@maintenance.example.org/"`}, codeOnly},
	} {
		for _, value := range c.values {
			var keys map[string]json.RawMessage
			if err := json.Unmarshal(someDocument().Marshal(), &keys); err != nil {
				t.Fatal(err)
			}
			if value == gone {
				delete(keys, c.key)
			} else {
				keys[c.key] = json.RawMessage(value)
			}
			data, err := json.Marshal(keys)
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			bySchema := schema.Validate(parsed)
			_, byCode := status.Parse(data)
			if (bySchema != nil) != (c.who == both || c.who == lenient) {
				t.Errorf("%s %.80q: the schema says %v", c.key, value, bySchema)
			}
			if (byCode != nil) != (c.who == both || c.who == codeOnly) {
				t.Errorf("%s %.80q: the code says %v", c.key, value, byCode)
			}
		}
	}
}
