//go:build soak

package frontend

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/esbuild"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// fresh is an application of a bundler's own kind, with the client installed in one of the ways that its README has.
type fresh struct {
	dir string // a copy of web/NAME with its packages
	out string // where the built application belongs
}

func (f fresh) run(t *testing.T, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = f.dir
	cmd.Env = append(os.Environ(), "npm_config_offline=true", "npm_config_ignore_scripts=true", "npm_config_audit=false", "npm_config_fund=false",
		"npm_config_loglevel=error")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s %q: %v\n%s", filepath.Base(program), args, err, out)
	}
}

// newerNode is a Node.js that Vite runs on, which Debian 12's is too old for.
func newerNode(t *testing.T) string {
	t.Helper()
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	path, err := filepath.Abs("../web/node/node_modules/node-linux-" + arch + "/bin/node")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// viteConfig has Vite look for these packages in the application where the client is a link.
const viteConfig = `import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({ base: "./", plugins: [react()], resolve: { dedupe: [%s] } });
`

// buildFresh builds the applications in directories of out, named after bundler and way of installing, and has
// TypeScript check them. Only where npm made a link they are told where their packages are.
func buildFresh(t *testing.T, out string) {
	t.Helper()
	absolute := func(path string) string {
		path, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	client, tsc := absolute(clientDir), absolute("../web/package/node_modules/.bin/tsc")
	packed := t.TempDir()
	pack := exec.Command("npm", "pack", "--ignore-scripts", "--loglevel=error", "--pack-destination", packed)
	pack.Dir = client
	name, err := pack.Output()
	if err != nil {
		t.Fatalf("npm pack: %v", err)
	}
	tarball := filepath.Join(packed, strings.TrimSpace(string(name)))
	// As the README has it.
	readme := rig.ReadFile(t, filepath.Join(clientDir, "README.md"))
	line := func(begins string) string {
		t.Helper()
		line := regexp.MustCompile("(?m)^" + regexp.QuoteMeta(begins) + "[^#\n]*").FindString(readme)
		if line == "" {
			t.Fatalf("the README has no command that begins with %q", begins)
		}
		return line
	}
	byPath := strings.Replace(line("npm install ../"), "../conforma-status/status/client", client, 1)
	ways := [][2]string{
		{"link", byPath},
		{"tarball", strings.Replace(line("npm install ./"), "./conforma-status-*.tgz", tarball, 1)},
		{"path", line("npm config set install-links") + " && " + byPath + " && npm install"}, // which leaves the copy alone
	}

	for bundler, build := range map[string]func(t *testing.T, f fresh, way string){
		"vite": func(t *testing.T, f fresh, way string) {
			dedupe := ""
			if way == "link" {
				dedupe = `"@apollo/client", "react"`
			}
			config := fmt.Sprintf(viteConfig, dedupe)
			if err := os.WriteFile(filepath.Join(f.dir, "vite.config.ts"), []byte(config), 0o644); err != nil {
				t.Fatal(err)
			}
			f.run(t, newerNode(t), "node_modules/.bin/vite", "build", "--outDir", f.out, "--logLevel", "warn")
		},
		"webpack": func(t *testing.T, f fresh, way string) {
			f.run(t, "node", "build.mjs", f.out, way)
			f.run(t, "cp", "index.html", f.out)
		},
	} {
		t.Run(bundler, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if out, err := exec.Command("cp", "-r", absolute("../web/"+bundler)+"/.", dir).CombinedOutput(); err != nil {
				t.Fatalf("copy the application (make need-soak gets its packages): %v\n%s", err, out)
			}
			for _, way := range ways {
				f := fresh{dir: dir, out: filepath.Join(out, bundler+"-"+way[0])}
				f.run(t, "sh", "-c", way[1])
				build(t, f, way[0])
				f.run(t, tsc, "-p", ".")
			}
			if bundler == "vite" {
				bundleFresh(t, dir, filepath.Join(out, "esbuild-path"))
			}
		})
	}
}

// bundleFresh has esbuild build what Vite has built.
func bundleFresh(t *testing.T, dir, out string) {
	t.Helper()
	esbuild.Run(t, nil, "", filepath.Join(dir, "src/main.tsx"), "--bundle", "--format=esm", "--jsx=automatic",
		`--define:process.env.NODE_ENV="production"`, "--outdir="+filepath.Join(out, "src"))
	page, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	page = []byte(strings.ReplaceAll(string(page), "main.tsx", "main.js"))
	if err := os.WriteFile(filepath.Join(out, "index.html"), page, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestSoakFreshApplications drives them through closing, admin and opening. When the site closes, ten tabs are each in
// the middle of saving in two ways: all of it has to be answered before they leave.
func TestSoakFreshApplications(t *testing.T) {
	built := t.TempDir()
	t.Run("are built", func(t *testing.T) { buildFresh(t, built) })
	if t.Failed() {
		return
	}
	s := newAppSite(t, "")
	s.mu.Lock()
	s.fresh = built
	s.mu.Unlock()
	names, err := os.ReadDir(built)
	if err != nil {
		t.Fatal(err)
	}
	browser := chrome.Browser(t)
	hurried := `if (location.origin !== config.app) ` + hurry
	var tabs []*visitor
	for i := range 10 {
		path := "/fresh/" + names[i%len(names)].Name() + "/"
		p := s.visit(t, browser, visit{every: often, path: path, arrive: true, script: hurried})
		p.has(`window.app?.mode === "online"`)
		tabs = append(tabs, p)
	}
	for _, p := range tabs {
		p.run(`app.save()`)
		s.begin(t)
		s.begin(t)
	}

	ended := make(chan rig.Result)
	go func() { ended <- s.CLI(s.tb, "set", "offline", "--drain", "5m", "--eta", "30m") }()
	for _, p := range tabs {
		p.has(`document.querySelector("[role=alert]")?.innerText.includes("Expected end: ")`)
	}
	chrome.Passes(tabs[0].Tab, 500) // the notice stands for less
	for _, p := range tabs {
		got := chrome.Eval[string](p.Tab, `location.href + " " + app.outcomes`)
		if got != s.URL+p.path+" nothing,nothing" {
			t.Errorf("in the middle of saving: %s", got)
		}
	}
	for range tabs {
		s.finish(t)
		s.finish(t)
	}
	for _, p := range tabs {
		p.left()
	}
	(<-ended).Want(t, 0)
	t.Logf("%d tabs have left after all that they were saving was answered", len(tabs))

	s.CLI(t, "set", "admin").Want(t, 0)
	// The first request with the token brings the cookie with which pages pass. For 10 s no other browser gets one for the
	// same token, which two that are made in one second are.
	p := s.visit(t, browser, visit{every: often, path: "/.conforma-status/status.json", admin: true, arrive: true})
	rig.WaitFor(t, "the gate to let an administrator in", func() bool {
		return chrome.Eval[int](p.Tab, `fetch("/server/api", { headers: { Authorization: "Bearer " + localStorage.persistJWT } }).then((r) => r.status)`) == 200
	})
	for _, name := range names {
		p.Open(s.URL + "/fresh/" + name.Name() + "/")
		p.has(`window.app?.mode === "admin"`)
		p.run(`app.save()`)
		for _, step := range []func(testing.TB){s.begin, s.begin, s.finish, s.finish} {
			step(t)
		}
		p.has(`String(app.outcomes) === "saved,saved"`)
	}
	for _, p := range tabs {
		p.left()
	}

	s.CLI(t, "set", "online").Want(t, 0)
	for _, p := range tabs {
		p.at("the application", func(at string) bool { return at == s.URL+p.path })
		p.has(`window.app?.mode === "online"`)
	}
}
