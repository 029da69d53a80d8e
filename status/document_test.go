package status

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"
)

// example is the document of the contract with readers, in the order of keys that Marshal has.
const example = `{"version":1,"site":"demo","mode":"offline","seq":42,` +
	`"since":"2026-11-22T21:15:00Z","expectedUntil":"2026-11-22T21:45:00Z",` +
	`"message":"We are upgrading Conforma.","messages":{"pt":"Estamos a atualizar o Conforma."},"next":null,` +
	`"appUrl":"https://demo.example.org:50000",` +
	`"pageUrl":"https://maintenance.example.org/","updatedAt":"2026-11-22T21:15:00Z"}` + "\n"

func ptr[T any](v T) *T { return &v }

// demo is the example as a value.
func demo() Document {
	since := time.Date(2026, 11, 22, 21, 15, 0, 0, time.UTC)
	return Document{
		Version: 1, Site: "demo", Mode: Offline, Seq: 42, Since: since, ExpectedUntil: ptr(since.Add(30 * time.Minute)),
		Message: ptr("We are upgrading Conforma."), Messages: map[string]string{"pt": "Estamos a atualizar o Conforma."},
		AppURL: "https://demo.example.org:50000", PageURL: "https://maintenance.example.org/", UpdatedAt: since,
	}
}

func TestMarshal(t *testing.T) {
	since := demo().Since
	auckland := time.FixedZone("NZDT", 13*60*60)
	for name, c := range map[string]struct {
		change func(*Document)
		want   *strings.Replacer
	}{
		"the example": {func(*Document) {}, strings.NewReplacer()},
		"nothing said": {
			func(d *Document) { d.ExpectedUntil, d.Message, d.Messages = nil, nil, nil },
			strings.NewReplacer(`"2026-11-22T21:45:00Z"`, `null`, `"We are upgrading Conforma."`, `null`, `{"pt":"Estamos a atualizar o Conforma."}`, `null`),
		},
		"no messages are null": {
			func(d *Document) { d.Messages = map[string]string{} },
			strings.NewReplacer(`{"pt":"Estamos a atualizar o Conforma."}`, `null`),
		},
		"languages in order": {
			func(d *Document) { d.Messages = map[string]string{"pt": "C", "fr": "B", "ar": "A"} },
			strings.NewReplacer(`{"pt":"Estamos a atualizar o Conforma."}`, `{"ar":"A","fr":"B","pt":"C"}`),
		},
		"other time zones and fractions": {
			func(d *Document) {
				d.Since, d.UpdatedAt = since.In(auckland), since.Add(999*time.Millisecond)
				d.ExpectedUntil = ptr(d.ExpectedUntil.In(auckland).Add(time.Nanosecond))
			}, strings.NewReplacer(),
		},
		"a window": {
			func(d *Document) {
				d.Next = &Window{From: since.In(auckland).Add(time.Hour), Until: ptr(since.Add(90*time.Minute + 5))}
			},
			strings.NewReplacer(`"next":null`, `"next":{"from":"2026-11-22T22:15:00Z","until":"2026-11-22T22:45:00Z"}`),
		},
		"a window without an end": {
			func(d *Document) { d.Next = &Window{From: since} },
			strings.NewReplacer(`"next":null`, `"next":{"from":"2026-11-22T21:15:00Z","until":null}`),
		},
		"an order to a fleet": {
			func(d *Document) { d.Order, d.Wanted, d.Signature = 7, Online, "sig" },
			strings.NewReplacer(`"seq":42,`, `"seq":42,"order":7,"wanted":"online","signature":"sig",`),
		},
		"markup stays text, whoever embeds it": {
			func(d *Document) { d.Message = ptr("</script><script>\"$x\"\n&\u2028") },
			strings.NewReplacer(`We are upgrading Conforma.`, `\u003c/script\u003e\u003cscript\u003e\"$x\"\n\u0026\u2028`),
		},
	} {
		d := demo()
		c.change(&d)
		if got, want := string(d.Marshal()), c.want.Replace(example); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
	d := demo()
	d.Next = &Window{From: since.In(auckland).Add(5), Until: ptr(since.In(auckland).Add(time.Hour + 5))}
	d.Marshal()
	if d.Next.From.Nanosecond() != 5 || d.Next.Until.Nanosecond() != 5 || d.Next.From.Location() != auckland {
		t.Error("Marshal changes the document that it writes")
	}
}

// A document that is a fault away from the example says which fault it is.
var broken = map[string]struct {
	change func(*Document)
	want   string // the whole error
}{
	"version 0":          {func(d *Document) { d.Version = 0 }, `version is 0, want 1`},
	"version 2":          {func(d *Document) { d.Version = 2 }, `version is 2, want 1`},
	"no site":            {func(d *Document) { d.Site = "" }, `site is empty`},
	"no mode":            {func(d *Document) { d.Mode = "" }, `mode: unknown mode "": want online, offline or admin`},
	"another mode":       {func(d *Document) { d.Mode = "closed" }, `mode: unknown mode "closed": want online, offline or admin`},
	"no since":           {func(d *Document) { d.Since = time.Time{} }, `since is missing`},
	"no updatedAt":       {func(d *Document) { d.UpdatedAt = time.Time{}.Add(1) }, `updatedAt is missing`},
	"since too late":     {func(d *Document) { d.Since = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, `time 10000-01-01 00:00:00 +0000 UTC can't be written as RFC 3339`},
	"until too late":     {func(d *Document) { d.ExpectedUntil = ptr(lateInTheWest) }, `time 9999-12-31 23:30:00 -0100 W can't be written as RFC 3339`},
	"updatedAt too late": {func(d *Document) { d.UpdatedAt = lateInTheWest }, `time 9999-12-31 23:30:00 -0100 W can't be written as RFC 3339`},
	"next too late":      {func(d *Document) { d.Next = &Window{From: lateInTheWest} }, `time 9999-12-31 23:30:00 -0100 W can't be written as RFC 3339`},
	"next.from missing":  {func(d *Document) { d.Next = &Window{} }, `next.from is missing`},
	"next of no length":  {func(d *Document) { d.Next = &Window{d.Since, ptr(d.Since.Add(time.Second - 1))} }, `next.until is not after next.from`},
	"next backwards":     {func(d *Document) { d.Next = &Window{d.Since, ptr(d.Since.Add(-time.Hour))} }, `next.until is not after next.from`},
	"no message":         {func(d *Document) { d.Message = ptr("") }, `message: is empty`},
	"an empty language":  {func(d *Document) { d.Messages = map[string]string{"": "x"} }, `messages: "" is not a language tag`},
	"no language":        {func(d *Document) { d.Messages = map[string]string{"p": "x"} }, `messages: "p" is not a language tag`},
	"languages in order": {
		func(d *Document) { d.Messages = map[string]string{"pt": "", "fr": " ", "pt_BR": "x", "de": "x\x00"} },
		"messages.de: holds the control character U+0000\nmessages.fr: is empty\nmessages.pt: is empty\nmessages: \"pt_BR\" is not a language tag",
	},
	"no appUrl":       {func(d *Document) { d.AppURL = "" }, `appUrl: "" is not an absolute http or https URL`},
	"appUrl a path":   {func(d *Document) { d.AppURL = "/app" }, `appUrl: "/app" is not an absolute http or https URL`},
	"appUrl no host":  {func(d *Document) { d.AppURL = "https://:50000" }, `appUrl: "https://:50000" is not an absolute http or https URL`},
	"appUrl a script": {func(d *Document) { d.AppURL = "javascript:alert(1)" }, `appUrl: "javascript:alert(1)" is not an absolute http or https URL`},
	"appUrl no URL":   {func(d *Document) { d.AppURL = "https://a b/" }, `appUrl: is not a URL`},
	"pageUrl shouted": {func(d *Document) { d.PageURL = "HTTPS://example.org/" }, `pageUrl: "HTTPS://example.org/" is not an absolute http or https URL`},
	"a password":      {func(d *Document) { d.PageURL = "https://u:hunter2@example.org/" }, `pageUrl: carries a user name or password`},
	"all at once": {
		func(d *Document) { *d = Document{} },
		"version is 0, want 1\nsite is empty\nmode: unknown mode \"\": want online, offline or admin\nsince is missing\n" +
			"updatedAt is missing\nappUrl: \"\" is not an absolute http or https URL\npageUrl: \"\" is not an absolute http or https URL",
	},
}

// lateInTheWest is in the year 10000 by UTC.
var lateInTheWest = time.Date(9999, 12, 31, 23, 30, 0, 0, time.FixedZone("W", -60*60))

func TestValidate(t *testing.T) {
	if err := demo().Validate(); err != nil {
		t.Errorf("the example is not valid: %v", err)
	}
	for name, c := range broken {
		d := demo()
		c.change(&d)
		if err := d.Validate(); err == nil || err.Error() != c.want {
			t.Errorf("%s:\n got %v\nwant %s", name, err, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	minimal := `{"version":1,"site":"a","mode":"online","seq":0,"since":"2026-01-01T00:00:00Z","expectedUntil":null,"message":null,` +
		`"messages":null,"next":null,"appUrl":"http://a","pageUrl":"http://b/","updatedAt":"2026-01-01T00:00:00Z"}`
	edit := func(old, new string) string {
		if !strings.Contains(minimal, old) {
			t.Fatalf("the document has no %s", old)
		}
		return strings.Replace(minimal, old, new, 1)
	}
	for name, c := range map[string]struct {
		data  string
		fault string // part of the error, "" for none
	}{
		"the example":         {example, ""},
		"nothing said":        {minimal, ""},
		"indented":            {"\n  " + strings.ReplaceAll(minimal, ",", ",\n\t"), ""},
		"unknown keys":        {edit(`{`, `{"from":7,"extra":{"mode":"online"},"$schema":"x",`), ""},
		"unknown keys within": {edit(`"next":null`, `"next":{"from":"2026-01-01T00:00:00Z","until":null,"title":"x"}`), ""},
		"keys left out":       {strings.NewReplacer(`"expectedUntil":null,"message":null,"messages":null,"next":null,`, ``).Replace(minimal), ""},
		"another offset":      {edit(`"since":"2026-01-01T00:00:00Z"`, `"since":"2026-01-01T13:00:00+13:00"`), ""},
		"the largest seq":     {edit(`"seq":0`, `"seq":18446744073709551615`), ""},

		"nothing":              {``, "parse status document: unexpected end of JSON input"},
		"an error page":        {`<html>`, "parse status document: invalid character"},
		"a list":               {`[]`, "parse status document: json: cannot unmarshal array"},
		"null":                 {`null`, "no version"},
		"an empty object":      {`{}`, "no version"},
		"two documents":        {minimal + minimal, "invalid character '{' after top-level value"},
		"cut off":              {minimal[:len(minimal)-1], "unexpected end of JSON input"},
		"version null":         {edit(`"version":1`, `"version":null`), "no version"},
		"version text":         {edit(`"version":1`, `"version":"1"`), "cannot unmarshal string"},
		"version 1.5":          {edit(`"version":1`, `"version":1.5`), "cannot unmarshal number 1.5"},
		"seq below zero":       {edit(`"seq":0`, `"seq":-1`), "cannot unmarshal number -1"},
		"seq beyond 64 bits":   {edit(`"seq":0`, `"seq":18446744073709551616`), "cannot unmarshal number"},
		"mode unknown":         {edit(`"online"`, `"ONLINE"`), `mode: unknown mode "ONLINE"`},
		"mode null":            {edit(`"online"`, `null`), `mode: unknown mode ""`},
		"time without zone":    {edit(`"since":"2026-01-01T00:00:00Z"`, `"since":"2026-01-01T00:00:00"`), "parsing time"},
		"time as number":       {edit(`"since":"2026-01-01T00:00:00Z"`, `"since":1767225600`), "Time.UnmarshalJSON"},
		"year 10000 by offset": {edit(`"since":"2026-01-01T00:00:00Z"`, `"since":"9999-12-31T23:30:00-01:00"`), "can't be written as RFC 3339"},
		"year -1 by offset":    {edit(`"expectedUntil":null`, `"expectedUntil":"0000-01-01T00:30:00+01:00"`), "can't be written as RFC 3339"},
		"message a number":     {edit(`"message":null`, `"message":5`), "cannot unmarshal number"},
		"message a NUL":        {edit(`"message":null`, `"message":"\u0000"`), "message: holds the control character U+0000"},
		"next without from":    {edit(`"next":null`, `"next":{}`), "next.from is missing"},
		"appUrl a script":      {edit(`"http://a"`, `"javascript:alert(1)"`), "appUrl"},
	} {
		d, err := Parse([]byte(c.data))
		switch {
		case c.fault == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.fault == "" && d.Site == "":
			t.Errorf("%s: read nothing", name)
		case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)):
			t.Errorf("%s: %v, want %q in it", name, err, c.fault)
		case errors.Is(err, ErrVersion):
			t.Errorf("%s: %v is ErrVersion, but the version is not the fault", name, err)
		}
	}
}

// A later version may mean anything by its keys: the version is looked at before them.
func TestParseOfAnotherVersion(t *testing.T) {
	for _, data := range []string{
		`{"version":2}`, `{"version":0}`, `{"version":-1}`, strings.Replace(example, `"version":1`, `"version":2`, 1),
		`{"version":2,"mode":{"of":"nothing we know"},"since":[]}`,
	} {
		if _, err := Parse([]byte(data)); !errors.Is(err, ErrVersion) {
			t.Errorf("%s: %v, want ErrVersion", data, err)
		}
	}
}

func TestSame(t *testing.T) {
	later := demo().Since.Add(time.Minute)
	for name, c := range map[string]struct {
		change func(*Document)
		want   bool
	}{
		"itself":             {func(*Document) {}, true},
		"seq":                {func(d *Document) { d.Seq = 43 }, true},
		"updatedAt":          {func(d *Document) { d.UpdatedAt = later }, true},
		"a fraction":         {func(d *Document) { d.Since = d.Since.Add(time.Millisecond) }, true},
		"another time zone":  {func(d *Document) { d.Since = d.Since.In(time.FixedZone("", 3600)) }, true},
		"a copy of messages": {func(d *Document) { d.Messages = maps.Clone(d.Messages) }, true},
		"site":               {func(d *Document) { d.Site = "other" }, false},
		"mode":               {func(d *Document) { d.Mode = Admin }, false},
		"since":              {func(d *Document) { d.Since = later }, false},
		"until":              {func(d *Document) { d.ExpectedUntil = &later }, false},
		"no until":           {func(d *Document) { d.ExpectedUntil = nil }, false},
		"message":            {func(d *Document) { d.Message = ptr("x") }, false},
		"no message":         {func(d *Document) { d.Message = nil }, false},
		"messages":           {func(d *Document) { d.Messages = map[string]string{"pt": "x"} }, false},
		"no messages":        {func(d *Document) { d.Messages = nil }, false},
		"next":               {func(d *Document) { d.Next = &Window{From: later} }, false},
		"appUrl":             {func(d *Document) { d.AppURL = "https://x" }, false},
		"pageUrl":            {func(d *Document) { d.PageURL = "https://x/" }, false},
	} {
		d := demo()
		c.change(&d)
		if d.Same(demo()) != c.want || demo().Same(d) != c.want {
			t.Errorf("%s: the same is %v, want %v", name, d.Same(demo()), c.want)
		}
	}
}

func TestValidateMessage(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"plain":                  {"Back soon.", ""},
		"quotes":                 {`We're "upgrading" it.`, ""},
		"a dollar sign":          {"It costs $host $1 ${x}", ""},
		"markup":                 {`<script>alert(1)</script>`, ""},
		"newlines and tabs":      {"one\n\ttwo\n", ""},
		"backslashes and braces": {`C:\{{.}} ; }`, ""},
		"many scripts":           {"Нет. 停机 عطل 🛠️", ""},
		"as long as it gets":     {strings.Repeat("ü", MaxMessage), ""},

		"nothing":              {"", "is empty"},
		"blank":                {" \n\t\u00a0", "is empty"},
		"one too long":         {strings.Repeat("ü", MaxMessage+1), "is 2001 characters long, at most 2000 fit"},
		"10 kB":                {strings.Repeat("a", 10_000), "is 10000 characters long, at most 2000 fit"},
		"not UTF-8":            {"caf\xe9", "is not valid UTF-8"},
		"half a surrogate":     {"\xed\xa0\x80", "is not valid UTF-8"},
		"NUL":                  {"a\x00", "holds the control character U+0000"},
		"a carriage return":    {"a\r\nb", "holds the control character U+000D"},
		"an escape sequence":   {"\x1b[31mred", "holds the control character U+001B"},
		"delete":               {"a\x7f", "holds the control character U+007F"},
		"a C1 control":         {"a\u0085b", "holds the control character U+0085"},
		"long and not UTF-8":   {strings.Repeat("\xff", MaxMessage*2), "is not valid UTF-8"},
		"control and too long": {"\x00" + strings.Repeat("a", MaxMessage), "is 2001 characters long, at most 2000 fit"},
	} {
		err := ValidateMessage(c.text)
		if (err == nil) != (c.want == "") || err != nil && err.Error() != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestSchemaIsACopy(t *testing.T) {
	if !json.Valid(Schema()) {
		t.Fatal("the schema is not JSON")
	}
	Schema()[0] = 'x'
	if !json.Valid(Schema()) {
		t.Error("whoever changes what Schema returns changes the schema")
	}
}

// What parses says the same after it was written and read again, and writes the same bytes then.
func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	for _, c := range broken {
		d := demo()
		c.change(&d)
		if data, err := json.Marshal(d); err == nil {
			f.Add(data)
		}
	}
	d := demo()
	d.Next = &Window{From: d.Since, Until: d.ExpectedUntil}
	f.Add(d.Marshal())
	f.Add([]byte(`{"version":1,"version":2,"Mode":"online","seq":1e3}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Parse(data)
		if err != nil {
			return
		}
		written := d.Marshal()
		again, err := Parse(written)
		if err != nil {
			t.Fatalf("what Marshal wrote does not parse: %v\n%s", err, written)
		}
		if !d.Same(again) || again.Seq != d.Seq || !bytes.Equal(again.Marshal(), written) {
			t.Errorf("changed on the way:\n%s\n%s", written, again.Marshal())
		}
	})
}
