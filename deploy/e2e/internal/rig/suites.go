package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// The environment's variables that have all tests use another nginx than this machine's, and what it needs in http {}.
const (
	nginxVariable     = "CONFORMA_STATUS_NGINX"
	nginxHTTPVariable = "CONFORMA_STATUS_NGINX_HTTP"
)

// Suite is a release of Debian, with what its nginx consists of.
type Suite struct {
	Name, Version string // "trixie", "1.26"
	packages      string
	http          string // what the tests' http {} has for it
}

// Suites are those whose nginx is another than bookworm's 1.22, on which everything is tested.
var Suites = []Suite{
	{"bullseye", "1.18", "nginx-core libc6 libcrypt1 libpcre3 libssl1.1 zlib1g",
		"http2_max_field_size 16k; http2_max_header_size 64k;"}, // up to 1.19.6 it takes no long tokens over HTTP/2 otherwise
	{"trixie", "1.26", "nginx libc6 libcrypt1 libpcre2-8-0 libssl3t64 zlib1g libzstd1", ""},
	{"sid", "1.30", "nginx libc6 libcrypt1 libpcre2-8-0 libssl3t64 zlib1g libzstd1", ""},
}

// OnOtherNginx runs tests of this package, a pattern as for "go test -run", once more with the nginx of each suite. It
// takes root, for debootstrap(8) and chroot(2).
func OnOtherNginx(t *testing.T, tests string) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to run the nginx of another Debian")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range Suites {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(program, "-test.run", "^("+tests+")$", "-test.v", "-test.parallel", "2", "-test.timeout", "5m")
			cmd.Env = append(os.Environ(), nginxVariable+"="+s.nginx(t), nginxHTTPVariable+"="+s.http)
			out, err := cmd.CombinedOutput()
			ran := regexp.MustCompile(`(?m)^--- (?:PASS|SKIP): (\w+)`).FindAllStringSubmatch(string(out), -1)
			if err != nil || len(ran) != strings.Count(tests, "|")+1 {
				t.Fatalf("nginx %s: %v, %d tests ended well\n%s", s.Version, err, len(ran), failures(string(out)))
			}
		})
	}
}

// failures are the lines of what a test said without those of tests that passed.
func failures(said string) string {
	var out strings.Builder
	for line := range strings.Lines(said) {
		if text := strings.TrimSpace(line); !strings.HasPrefix(text, "===") && !strings.HasPrefix(text, "---") && out.Len() < 4000 {
			out.WriteString(line)
		}
	}
	return out.String()
}

// Binary is the path of the file that nginx's code is in.
func (n *Nginx) Binary() string {
	program := n.Args()[0]
	if program == os.Getenv(nginxVariable) {
		return filepath.Join(filepath.Dir(program), "root", "usr", "sbin", "nginx")
	}
	return program
}

// unpacking is a script of debootstrap's that unpacks the packages and configures nothing.
const unpacking = `default_mirror http://deb.debian.org/debian
mirror_style release
download_style apt
finddebs_style from-indices
variants - nginx
keyring /usr/share/keyrings/debian-archive-keyring.gpg
work_out_debs () { required="%s"; base=""; }
first_stage_install () {
  for d in %s; do mkdir -p "$TARGET/usr/$d" && ln -s "usr/$d" "$TARGET/$d"; done
  extract $required
}
second_stage_install () { :; }
`

// inSuite is a program that is the suite's nginx, with this machine's processes, devices and temporary files.
const inSuite = `#!/bin/sh
exec unshare --mount sh -c 'mount --bind /tmp "$0/tmp" && mount --rbind /proc "$0/proc" && mount --rbind /dev "$0/dev" &&
  exec chroot "$0" /usr/sbin/nginx "$@"' '%s' "$@"
`

// nginx is the path of a program that is the nginx of the suite. What it takes is fetched once for each user of this
// machine.
func (s Suite) nginx(tb testing.TB) string {
	tb.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "conforma-status-e2e", "nginx-"+s.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		tb.Fatalf("rig: make the nginx of %s: %v", s.Name, err)
	}
	// Tests of several packages may want it at once.
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err == nil {
		defer lock.Close()
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		tb.Fatalf("rig: make the nginx of %s: %v", s.Name, err)
	}
	root, program := filepath.Join(dir, "root"), filepath.Join(dir, "nginx")
	merged := "bin sbin lib lib64"
	if s.Name == "bullseye" { // whose libc6 has its files in /lib itself
		merged = ""
	}
	script := fmt.Sprintf(unpacking, s.packages, merged)
	if made, err := os.ReadFile(filepath.Join(dir, "made")); err != nil || string(made) != script {
		asRoot(tb, "rm", "-rf", root)
		WriteFile(tb, filepath.Join(dir, "script"), script)
		asRoot(tb, "debootstrap", "--foreign", "--variant=nginx", s.Name, root, "http://deb.debian.org/debian", filepath.Join(dir, "script"))
		asRoot(tb, "sh", "-c", `cd "$1" && rm -rf debootstrap var/cache/apt var/lib/apt && mkdir -p tmp proc dev run var/log/nginx var/lib/nginx`, "sh", root)
		WriteFile(tb, filepath.Join(root, "etc", "passwd"), "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\nnobody:x:65534:65534::/:/bin/false\n")
		WriteFile(tb, filepath.Join(root, "etc", "group"), "root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n")
		WriteFile(tb, filepath.Join(dir, "made"), script)
	}
	writeMode(tb, program, fmt.Sprintf(inSuite, root), 0o755)
	out, err := exec.Command(program, "-v").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "nginx/"+s.Version+".") {
		tb.Fatalf("rig: the nginx of %s: %v\n%s", s.Name, err, out)
	}
	return program
}
