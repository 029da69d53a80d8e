//go:build soak

package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/source"
)

// buildPackages makes packages, for this machine, of these versions, and returns the directory that they are in.
func buildPackages(t *testing.T, versions ...string) string {
	t.Helper()
	dir := rig.Dir(t)
	for _, v := range versions {
		buildPackage(t, "../../..", v, dir)
	}
	return dir
}

// buildPackage makes the package of a source tree, by that version, in a directory.
func buildPackage(t *testing.T, tree, version, dir string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(tree, "deploy", "package", "build.sh"), "deb")
	cmd.Env = append(os.Environ(), "VERSION="+version, "COMMIT=0123456789ab", "SOURCE_DATE_EPOCH=1790000000", "DIST="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the package: %v\n%s", err, out)
	}
}

// TestSoakPackageContents is what the Debian package consists of.
func TestSoakPackageContents(t *testing.T) {
	t.Parallel()
	dir := buildPackages(t, "v1.2.3-rc1")
	debs, err := filepath.Glob(filepath.Join(dir, "conforma-status_1.2.3~rc1_*.deb"))
	if err != nil || len(debs) != 1 {
		t.Fatalf("packages %v (%v)", debs, err)
	}
	deb := func(args ...string) string {
		out, err := exec.Command("dpkg-deb", append(args[:1:1], append(debs, args[1:]...)...)...).Output()
		if err != nil {
			t.Fatalf("dpkg-deb %v: %v", args, err)
		}
		return string(out)
	}
	modes := map[string]string{}
	for line := range strings.Lines(deb("--contents")) {
		f := strings.Fields(line)
		if f[1] != "root/root" {
			t.Errorf("it is not root's: %s", line)
		}
		modes[strings.TrimPrefix(f[5], ".")] = f[0]
	}
	const file, program, directory = "-rw-r--r--", "-rwxr-xr-x", "drwxr-xr-x"
	want := map[string]string{
		"/usr/bin/conforma-status": program, "/usr/lib/systemd/system-generators/conforma-status-generator": program,
		"/usr/share/conforma-status/config.toml": file, "/etc/nginx/conf.d/conforma-status.conf": file, "/etc/logrotate.d/conforma-status": file,
		"/usr/share/bash-completion/completions/conforma-status": file, "/usr/share/zsh/vendor-completions/_conforma-status": file,
		"/usr/share/fish/vendor_completions.d/conforma-status.fish": file, "/usr/share/doc/conforma-status/copyright": file,
		"/usr/share/doc/conforma-status/changelog.gz": file, "/usr/share/doc/conforma-status/README.md": file,
		"/usr/share/doc/conforma-status/CONFIGURATION.md": file, "/usr/share/man/man5/config.toml.5.gz": file,
		"/usr/share/conforma-status/settled-postgres.sh": program, "/usr/share/conforma-status/tell.sh": program, "/usr/share/conforma-status/conforma/launch.sh": program,
		"/usr/share/conforma-status/conforma/stop.sh": program, "/usr/share/conforma-status/conforma/snapshot.sh": program,
		"/usr/share/conforma-status/conforma/common.sh": file, "/usr/share/conforma-status/conforma/aliases.sh": file,
		"/usr/share/conforma-status/standby/keepalived.sh": program, "/usr/share/conforma-status/standby/elastic-ip.sh": program,
		"/usr/share/conforma-status/webserver/push.sh": program, "/usr/share/conforma-status/webserver/nginx.conf": file,
		"/usr/share/conforma-status/terraform/publisher-policy.json": file, "/usr/share/conforma-status/terraform/bucket.tf": file,
		"/var/lib/conforma-status/": directory, "/var/log/conforma-status/": "drwxr-x---",
	}
	units, err := filepath.Glob("../../systemd/*.*")
	if err != nil {
		t.Fatal(err)
	}
	for _, unit := range units {
		want["/usr/lib/systemd/system/"+filepath.Base(unit)] = file
	}
	help, err := exec.Command(rig.Binary(t), "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, commands, _ := strings.Cut(string(help), "\nEvery day:\n")
	commands, _, _ = strings.Cut(commands, "\nFlags:\n")
	pages := 0
	for line := range strings.Lines(commands) {
		if f := strings.Fields(line); strings.HasPrefix(line, "  ") && f[0] != "completion" && f[0] != "help" {
			want["/usr/share/man/man1/conforma-status-"+f[0]+".1.gz"] = file
			pages++
		}
	}
	if pages < 15 {
		t.Errorf("--help lists only %d commands:\n%s", pages, help)
	}
	for path, mode := range want {
		if modes[path] != mode {
			t.Errorf("%s: mode %q, want %q", path, modes[path], mode)
		}
	}
	for path, mode := range modes {
		if mode[0] == '-' && strings.HasPrefix(path, "/etc/") != strings.Contains(deb("--info", "conffiles"), path+"\n") {
			t.Errorf("%s: a file of /etc, and only that, is a conffile", path)
		}
	}
	root := rig.Dir(t)
	if out, err := exec.Command("dpkg-deb", "--extract", debs[0], root).CombinedOutput(); err != nil {
		t.Fatalf("unpack it: %v\n%s", err, out)
	}
	followed := 0
	for path := range modes {
		if strings.HasSuffix(path, ".md") {
			followed += source.CheckLinks(t, filepath.Join(root, path))
			checkSource(t, filepath.Join(root, path))
		}
	}
	if followed < 15 {
		t.Errorf("the documents have only %d links", followed)
	}
	if got := deb("--field", "Package", "Version", "Recommends"); got != "Package: conforma-status\nVersion: 1.2.3~rc1\nRecommends: nginx\n" {
		t.Errorf("control: %s", got)
	}
	for _, script := range []string{"preinst", "postinst", "prerm", "postrm"} {
		if !strings.HasPrefix(deb("--info", script), "#!/bin/sh\n") {
			t.Errorf("there is no %s", script)
		}
	}
}

// checkSource follows the links of an installed page into the repository, as it is here.
func checkSource(t *testing.T, page string) {
	t.Helper()
	for _, m := range source.Links.FindAllStringSubmatch(rig.ReadFile(t, page), -1) {
		if path, into := strings.CutPrefix(m[1], "https://github.com/msupply-foundation/conforma-status/blob/0123456789ab/"); into {
			path, _, _ = strings.Cut(path, "#")
			if _, err := os.Stat(filepath.Join("..", "..", "..", path)); err != nil {
				t.Errorf("%s: the repository has no %s", page, path)
			}
		}
	}
}
