package publishing

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

const terraformDir = "../../terraform"

var placeholder = regexp.MustCompile(`\$\{([a-z_]+)\}`)

// policyFile is one of Terraform's policies, filled in as Terraform does.
func policyFile(t *testing.T, name string, values map[string]string) []map[string]any {
	t.Helper()
	src, err := os.ReadFile(filepath.Join(terraformDir, name))
	if err != nil {
		t.Fatal(err)
	}
	text := placeholder.ReplaceAllStringFunc(string(src), func(s string) string { return values[s[2:len(s)-1]] })
	var doc struct{ Statement []map[string]any }
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return doc.Statement
}

// TestFoldersAreAnsweredByTheirIndex runs the function that CloudFront runs on each request.
func TestFoldersAreAnsweredByTheirIndex(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile(filepath.Join(terraformDir, "folders.js"))
	if err != nil {
		t.Fatal(err)
	}
	for uri, want := range map[string]string{
		"/": "/index.html", "/demo/": "/demo/index.html", "/demo/pt/": "/demo/pt/index.html",
		"/demo/status.json": "/demo/status.json", "/demo/index.html": "/demo/index.html", "/conforma-status.js": "/conforma-status.js",
		"/demo": "302 /demo/", "/demo/pt": "302 /demo/pt/",
		"//evil.example.org/x": "302 /evil.example.org/x/", "///evil.example.org": "///evil.example.org",
	} {
		out, err := exec.Command("node", "-e", string(src)+`
const answer = handler({ request: { uri: process.argv[1] } })
console.log(answer.uri ?? answer.statusCode + ' ' + answer.headers.location.value)`, uri).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s becomes %q, want %q (%v)", uri, got, want, err)
		}
	}
}

// TestAWSSteps runs the steps of aws-cli.md with an aws that only notes what it is asked: the JSON is JSON, and the
// policies are Terraform's.
func TestAWSSteps(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../aws-cli.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := rig.Dir(t)
	script := "set -euo pipefail\n"
	for _, block := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		script += block[1]
	}
	script, _, ok := strings.Cut(script, "conforma-status publish")
	if !ok {
		t.Error("the page doesn't end with conforma-status publish")
	}
	rig.WriteFile(t, filepath.Join(dir, "aws"), "#!/bin/sh\nprintf '%s\\0' \"$@\" >>$CALLS\nprintf '\\n' >>$CALLS\necho ID arn:aws:stand-in NAME\n")
	if err := os.Chmod(filepath.Join(dir, "aws"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "-c", script)
	cmd.Dir = terraformDir
	cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "CALLS=" + filepath.Join(dir, "calls")}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	calls, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	documents := map[string]string{} // by the command and its first object
	for call := range strings.SplitSeq(string(calls), "\x00\n") {
		args := strings.Split(call, "\x00")
		for i, a := range args {
			if !strings.HasPrefix(a, "{") {
				continue
			}
			if !json.Valid([]byte(a)) {
				t.Errorf("%s: %s is no JSON: %s", args[1], args[i-1], a)
			}
			documents[args[1]+" "+args[3]] = a
		}
	}
	values := map[string]string{"bucket": "conforma-maintenance", "prefix": "", "distribution": "arn:aws:stand-in"}
	for call, file := range map[string]string{
		"put-bucket-policy conforma-maintenance": "bucket-policy.json", "create-policy conforma-maintenance-publisher": "publisher-policy.json",
	} {
		var got struct{ Statement []map[string]any }
		if err := json.Unmarshal([]byte(documents[call]), &got); err != nil || !reflect.DeepEqual(got.Statement, policyFile(t, file, values)) {
			t.Errorf("%s gets %s, %v", call, documents[call], err)
		}
	}
}
