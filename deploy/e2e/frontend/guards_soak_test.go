//go:build soak

package frontend

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

const (
	watchFile = "status/client/conforma-status.js"
	linkFile  = "status/client/apollo.js"
	axiosFile = "status/client/axios.js"
	pageFile  = "site/theme/page.js"
)

// TestSoakClientGuards takes out what keeps people from being moved by mistake, and their work from being lost, one
// after the other: with each of them gone a test of the client fails.
func TestSoakClientGuards(t *testing.T) {
	t.Parallel()
	for name, guard := range map[string]struct {
		file, is, becomes string
		tests             string // a file of the client's tests
		named             string // those of it that are run; "" for all
	}{
		"nothing": {watchFile, "poll();", "poll();", "requests", ""}, // with all of them there, none fails

		"seq": {watchFile, " && status.seq >= newestSeq;", ";", "polling", "older status"},
		"seq, of what another tab says": {watchFile, "!document.hidden && status.seq >= newestSeq", "!document.hidden",
			"polling", "older status"},
		"seq, over a reload": {watchFile, "(window.sessionStorage)[statusUrl] ?? 0", "({})[statusUrl] ?? 0", "polling", "older status"},
		"fresh status": {watchFile, "!stopped && await (asking ??= ask(true))", "!stopped && Boolean(watch.status)",
			"client", "one verdict"},
		"fresh status, not that of a poll under way": {watchFile, "const ask = async (failed) => {",
			"let polling;\n  const ask = (failed) => polling ??= reallyAsk(failed).finally(() => { polling = undefined; });\n  const reallyAsk = async (failed) => {",
			"client", "under way when a query failed"},
		"fresh status, not a cached one": {watchFile, `cache: "no-cache"`, `cache: "default"`, "polling", "as a bucket serves it"},
		"own origin":                     {pageFile, `there.href.startsWith(home.origin + "/")`, "true", "page", ""},
		"an address that is one":         {watchFile, " && /^http/.test(status.pageUrl)", "", "client", "one verdict"},
		"one ask at a time":              {watchFile, "(asking ??= ask(true))", "ask(true)", "client", "fifty failures"},
		"a new ask after that":           {watchFile, "    if (failed) asking = undefined;\n", "", "client", "asks anew"},
		"wait for writes":                {watchFile, "    await (lastRequests = requestsEnd());\n", "", "requests", ""},
		"for a while":                    {watchFile, " && Date.now() < end", "", "requests", "the page waits for its own"},
		"tell nobody meanwhile":          {watchFile, "    await lastRequests; // nobody is told of a failure meanwhile\n", "", "requests", "the page waits for its own"},
		"look again before it leaves": {watchFile, "    if (isIdle() || !isClosed()) return;\n    watch.leaving", "    watch.leaving",
			"requests", "the page waits for its own"},
		"wait no longer than it is closed":    {watchFile, " && !isIdle() && isClosed()) {", ") {", "requests", "the page waits for its own"},
		"the link's request waits for itself": {watchFile, "if (/** @type {any} */ (init)?.held) return answer;", "", "apollo", "own fetch"},
		"a failed request is over":            {watchFile, "    requests.delete(request); // it is over", "    // it is over", "requests", "what is held"},
		"tell nobody while it leaves":         {watchFile, "watch.leaving ? new Promise(() => {}) : answer", "answer", "client", "fetch"},
		"the visitor's veto":                  {watchFile, "    if (answer === false) return;\n", "", "client", "leaving"},
		"nothing after stop":                  {watchFile, "      stopped = true;\n", "", "client", "after stop|was stopped"},
		"the link holds":                      {linkFile, "  status.hold?.(out, operation);\n", "", "apollo", ""},
		"the link's failures are over":        {linkFile, "failedQuery(value, out)", "failedQuery(value)", "apollo", ""},
		"the link tells nobody":               {linkFile, "if (!status.leaving) out", "out", "apollo", ""},
		"the interceptor holds":               {axiosFile, "    status.hold?.(held);\n", "", "requests", "interceptor"},
		"the interceptor lets go":             {axiosFile, "    if (held) held.closed = true;\n    return answer", "    return answer", "requests", "interceptor"},
		"the interceptor tells nobody":        {axiosFile, "    if (status.leaving) await new Promise(() => {});\n", "", "requests", "interceptor"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			for _, dir := range []string{"status", "site/theme", "deploy/e2e"} {
				if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			// What the tests look for beside the client.
			for from, to := range map[string]string{clientDir: "status/client", "../../../" + pageFile: pageFile} {
				if out, err := exec.Command("cp", "-r", from, filepath.Join(root, to)).CombinedOutput(); err != nil {
					t.Fatalf("copy %s: %v\n%s", from, err, out)
				}
			}
			web, err := filepath.Abs("../web")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(web, filepath.Join(root, "deploy/e2e/web")); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(root, guard.file)
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(source), guard.is); n == 0 {
				t.Fatalf("%s has no %q", guard.file, guard.is)
			}
			if err := os.WriteFile(file, []byte(strings.Replace(string(source), guard.is, guard.becomes, 1)), 0o644); err != nil {
				t.Fatal(err)
			}
			args := []string{"--test", "status/client/test/" + guard.tests + ".test.js"}
			if guard.named != "" {
				args = append([]string{"--test-name-pattern", guard.named}, args...)
			}
			// Without a guard a test may wait for what never comes.
			patience := time.Minute
			if name == "nothing" {
				patience = rig.Patience
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, "node", args...)
			cmd.Dir = root
			out, err := cmd.CombinedOutput()
			if passed := err == nil; passed != (name == "nothing") {
				t.Errorf("the tests passed: %t\n%s", passed, out)
			}
		})
	}
}
