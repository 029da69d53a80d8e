package frontend

import (
	"bytes"
	"compress/gzip"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/esbuild"
	frontend "github.com/msupply-foundation/conforma-status/status/client"
)

var update = flag.Bool("update", false, "make what is published from its sources")

const clientDir = "../../../status/client"

// minified returns a source of the client as a page without a bundler gets it.
func minified(t *testing.T, name string) []byte {
	t.Helper()
	return minify(t, filepath.Join(clientDir, name), "js", "--format=esm")
}

func minify(t *testing.T, file string, loader string, args ...string) []byte {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return esbuild.Run(t, source, "", append(args, "--loader="+loader, "--minify", "--target=es2022", "--charset=utf8", "--legal-comments=none")...)
}

// isBuilt compares what is published with what its source comes to; with -update it writes that.
func isBuilt(t *testing.T, file string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what its source comes to (%v); run this test with -update", file, err)
	}
}

// TestPublishedClient compares what is published, and what nginx serves, with its sources.
func TestPublishedClient(t *testing.T) {
	for name, want := range map[string][]byte{
		frontend.FileName: minified(t, "conforma-status.js"), frontend.NoticeFileName: minified(t, "notice.js"), frontend.WorkerFileName: minified(t, "worker.js"),
		"sw.js": minify(t, filepath.Join(clientDir, "service", "sw.js"), "js"), "gone.js": minify(t, filepath.Join(clientDir, "service", "gone.js"), "js"),
	} {
		file := filepath.Join(clientDir, "dist", name)
		isBuilt(t, file, want)
	}
}

// TestWorkerIsSmall holds the service worker to a kilobyte, as it is served: nginx compresses it only where it is
// told to.
func TestWorkerIsSmall(t *testing.T) {
	worker := frontend.Worker("https://maintenance.example.org/demo/status.json")
	t.Logf("the service worker: %d bytes", len(worker))
	if len(worker) > 1000 {
		t.Errorf("the service worker is %d bytes, more than 1000", len(worker))
	}
}

// TestClientIsSmall holds what every visitor of an application loads to its size.
func TestClientIsSmall(t *testing.T) {
	for name, limit := range map[string]int{"conforma-status.js": 1500, "apollo.js": 300, "react.js": 300, "axios.js": 300, "notice.js": 2000} {
		var b bytes.Buffer
		w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(minified(t, name))
		w.Close()
		t.Logf("%s: %d bytes gzipped", name, b.Len())
		if b.Len() > limit {
			t.Errorf("%s is %d bytes gzipped, more than %d", name, b.Len(), limit)
		}
	}
}
