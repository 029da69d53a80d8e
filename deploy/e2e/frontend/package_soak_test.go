//go:build soak

package frontend

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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
			"package/react.d.ts package/react.js package/worker.js"
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
	t.Run("sources and README", func(t *testing.T) {
		t.Parallel()
		// The sources against their types, and what the README has an application write, with all that it may have.
		dir := t.TempDir()
		run(t, dir, "mkdir", "-p", "node_modules/conforma-status", "node_modules/vue")
		run(t, dir, "tar", "-xf", tarball, "-C", "node_modules/conforma-status", "--strip-components=1")
		run(t, dir, "cp", "-r", "node_modules/conforma-status", "source")
		for _, modules := range []string{"vite/node_modules/@apollo", "vite/node_modules/graphql", "vite/node_modules/rxjs",
			"vite/node_modules/react", "vite/node_modules/csstype", "vite/node_modules/@types", "webpack/node_modules/axios"} {
			modules, err := filepath.Abs(filepath.Join("..", "web", modules))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(modules, filepath.Join(dir, "node_modules", filepath.Base(modules))); err != nil {
				t.Fatal(err)
			}
		}
		readme, err := os.ReadFile(filepath.Join(clientDir, "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		// As much of Vue as the snippet uses.
		files := map[string]string{
			"node_modules/vue/index.d.ts": "export declare function ref<T>(): { value: T | undefined };",
			"package.json":                `{"type":"module"}`,
		}
		args := []string{"--noEmit", "--strict", "--allowJs", "--checkJs", "--jsx", "react-jsx", "--target", "es2022", "--module", "esnext",
			"--moduleResolution", "bundler", "--lib", "es2022,dom,dom.iterable", "--skipLibCheck",
			"source/conforma-status.js", "source/apollo.js", "source/axios.js", "source/notice.js", "source/react.js"}
		snippets := regexp.MustCompile("(?ms)^ *```(tsx?)\n(.*?)^ *```$").FindAllStringSubmatch(string(readme), -1)
		for i, snippet := range snippets {
			name := fmt.Sprintf("snippet%d.%s", i, snippet[1])
			if strings.Contains(snippet[2], "// maintenance.ts\n") {
				name = "maintenance.ts"
			}
			files[name] = snippet[2] + "\nexport {};\n"
			args = append(args, name)
		}
		if want := []string{"maintenance.ts", "snippet1.ts", "snippet2.ts", "snippet3.ts", "snippet4.ts", "snippet5.tsx", "snippet6.ts",
			"snippet7.ts", "snippet8.ts"}; !slices.Equal(args[len(args)-len(snippets):], want) {
			t.Errorf("the README has %q", args[len(args)-len(snippets):])
		}
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		run(t, dir, tool("tsc"), args...)
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
