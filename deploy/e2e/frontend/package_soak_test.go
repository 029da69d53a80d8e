//go:build soak

package frontend

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSoakClientPackage packs the client as npm would, and has publint, "are the types wrong" and TypeScript judge what
// an application gets of it. It is for ESM only, so require() of it is left out.
func TestSoakClientPackage(t *testing.T) {
	t.Parallel()
	tools, err := filepath.Abs("../web/package")
	if err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T, dir, program string, args ...string) string {
		t.Helper()
		cmd := exec.Command(program, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v\n%s", filepath.Base(program), args, err, out)
		}
		return string(out)
	}
	tool := func(name string) string { return filepath.Join(tools, "node_modules/.bin", name) }

	packed := t.TempDir()
	lines := strings.Fields(run(t, clientDir, "npm", "pack", "--ignore-scripts", "--loglevel=error", "--pack-destination", packed))
	tarball := filepath.Join(packed, lines[len(lines)-1])

	t.Run("holds just what is used", func(t *testing.T) {
		t.Parallel()
		want := "package/README.md package/apollo.d.ts package/apollo.js package/axios.d.ts package/axios.js " +
			"package/conforma-status.d.ts package/conforma-status.js package/notice.d.ts package/notice.js package/package.json " +
			"package/react.d.ts package/react.js"
		if got := strings.Join(strings.Fields(run(t, packed, "sh", "-c", "tar -tf "+filepath.Base(tarball)+" | LC_ALL=C sort")), " "); got != want {
			t.Errorf("packed: %s", got)
		}
	})
	t.Run("publint", func(t *testing.T) {
		t.Parallel()
		run(t, packed, tool("publint"), "--strict", tarball)
	})
	t.Run("attw", func(t *testing.T) {
		t.Parallel()
		run(t, packed, tool("attw"), "--ignore-rules", "cjs-resolves-to-esm", "--format", "ascii", tarball)
	})
	for _, apollo := range []string{"apollo3", "apollo4"} {
		t.Run("types with "+apollo, func(t *testing.T) {
			t.Parallel()
			// An application of its own, with the package, Apollo Client's of that version, and nothing else.
			dir := t.TempDir()
			run(t, dir, "mkdir", "-p", "node_modules/conforma-status")
			run(t, dir, "tar", "-xf", tarball, "-C", "node_modules/conforma-status", "--strip-components=1")
			modules, err := filepath.Abs(filepath.Join("..", "web", apollo, "node_modules"))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"@apollo", "graphql"} {
				if err := os.Symlink(filepath.Join(modules, name), filepath.Join(dir, "node_modules", name)); err != nil {
					t.Fatal(err)
				}
			}
			run(t, dir, "cp", filepath.Join(tools, "use.ts"), ".")
			if err := os.WriteFile(filepath.Join(dir, "status.ts"), []byte(guided(t)), 0o644); err != nil {
				t.Fatal(err)
			}
			run(t, dir, "sh", "-c", `echo '{"type":"module"}' >package.json`)
			run(t, dir, tool("tsc"), "--noEmit", "--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes",
				"--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom", "--skipLibCheck", "use.ts", "status.ts")
		})
	}
}
