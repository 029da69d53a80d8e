package publishing

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestPublishedStatusFitsItsSchema holds every status that is published or served by nginx against the
// schema that is published beside it.
func TestPublishedStatusFitsItsSchema(t *testing.T) {
	h := rig.NewHost(t)
	h.Install(t)
	h.CLI(t, "publish").Want(t, 0)
	schema := compileSchema(t, fetch(t, h.PageURL+"/demo/status.schema.json"))
	for _, step := range []struct {
		name string
		args []string
		mode string
	}{
		{"before anything was set", []string{"get", "--site", "demo"}, "online"},
		{"offline", []string{"set", "offline", "--site", "demo"}, "offline"},
		{"an ETA", []string{"extend", "90m", "--site", "demo"}, "offline"},
		{"a message", []string{"set", "offline", "--site", "demo", "--message", "Two\nlines, \"quotes\", $dollars & <script>"}, "offline"},
		{"admin", []string{"set", "admin", "--site", "demo"}, "admin"},
		{"online", []string{"set", "online", "--site", "demo"}, "online"},
	} {
		t.Run(step.name, func(t *testing.T) {
			h.CLI(t, step.args...).Want(t, 0)
			served := h.Client(t, "demo").Get(t, "/.conforma-status/status.json")
			for where, body := range map[string][]byte{
				"published": fetch(t, h.PageURL+"/demo/status.json"),
				"nginx":     []byte(served.Body),
			} {
				value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
				if err != nil {
					t.Fatalf("%s: %v in %q", where, err, body)
				}
				if err := schema.Validate(value); err != nil {
					t.Errorf("%s: %v in %s", where, err, body)
				}
				if mode := value.(map[string]any)["mode"]; mode != step.mode {
					t.Errorf("%s: mode %v, want %s", where, mode, step.mode)
				}
			}
		})
	}

	for name, document := range map[string]string{
		"a time that is none": `{"version":1,"site":"demo","mode":"online","seq":1,"since":"yesterday","expectedUntil":null,
			"message":null,"messages":null,"next":null,"appUrl":"https://a.test","pageUrl":"https://b.test/","updatedAt":"2026-11-22T21:15:00Z"}`,
		"an unknown mode": `{"version":1,"site":"demo","mode":"open","seq":1,"since":"2026-11-22T21:15:00Z","expectedUntil":null,
			"message":null,"messages":null,"next":null,"appUrl":"https://a.test","pageUrl":"https://b.test/","updatedAt":"2026-11-22T21:15:00Z"}`,
		"nothing": `{}`,
	} {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(document)))
		if err != nil {
			t.Fatal(err)
		}
		if schema.Validate(value) == nil {
			t.Errorf("the schema accepts %s", name)
		}
	}
}

func compileSchema(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat() // date-time is only an annotation otherwise
	if err := compiler.AddResource("schema.json", value); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// fetch returns what a URL on loopback answers, which has to be a 200.
func fetch(t *testing.T, url string) []byte {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v", url, res.Status, err)
	}
	return body
}
