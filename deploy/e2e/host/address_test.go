package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// standbyScript runs a script of deploy/standby, with programs of that directory before the machine's own.
func standbyScript(t *testing.T, programs, name string, env []string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(rig.Source("deploy", "standby", name), args...)
	cmd.Env = append(env, "PATH="+programs+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// awsStandIn has an address at the instance that the file "at" names, and moves it.
const awsStandIn = `#!/bin/sh
cd "${0%/*}"
echo "$*" >>calls
case "$*" in
*describe-addresses*) printf '203.0.113.7\t%s\n' "$(cat at)" ;;
*--dry-run) cat dry-run >&2; exit 254 ;;
*associate-address*) [ ! -e refuses ] || { echo "UnauthorizedOperation" >&2; exit 254; }
  while [ $# -gt 0 ]; do [ "$1" != --instance-id ] || echo "$2" >at; shift; done ;;
esac
`

// TestElasticIP moves an address by a stand-in of the AWS CLI.
func TestElasticIP(t *testing.T) {
	t.Parallel()
	const allocation, host, standby = "eipalloc-0a1b", "i-01", "i-02"
	for _, c := range []struct {
		name, args    string
		dryRun        string // what Amazon says to one
		refuses       bool
		code          int
		says, endsAt  string
		asks, changes bool
	}{
		{name: "moved", args: allocation + " " + standby, says: "203.0.113.7 is at i-02", endsAt: standby, asks: true, changes: true},
		{name: "there already", args: allocation + " " + host, says: "203.0.113.7 is at i-01 already", endsAt: host, asks: true},
		{name: "dry run", args: "--dry-run " + allocation + " " + standby, dryRun: "An error occurred (DryRunOperation)", says: "would move 203.0.113.7 from i-01 to i-02", endsAt: host, asks: true},
		{name: "dry run, not allowed", args: "--dry-run " + allocation + " " + standby, dryRun: "An error occurred (UnauthorizedOperation)", code: 1, says: "not allowed: An error", endsAt: host, asks: true},
		{name: "not allowed", args: allocation + " " + standby, refuses: true, code: 1, says: "203.0.113.7 stays at i-01", endsAt: host, asks: true, changes: true},
		{name: "no instance", args: allocation, code: 2, says: "the call is", endsAt: host},
		{name: "one that is none", args: allocation + " --all", code: 2, says: "--all is no instance", endsAt: host},
		{name: "an address", args: "203.0.113.7 " + standby, code: 2, says: "is no allocation", endsAt: host},
	} {
		dir := rig.Dir(t)
		rig.WriteFile(t, filepath.Join(dir, "aws"), awsStandIn)
		rig.Check(t, os.Chmod(filepath.Join(dir, "aws"), 0o755))
		rig.WriteFile(t, filepath.Join(dir, "at"), host+"\n")
		rig.WriteFile(t, filepath.Join(dir, "dry-run"), c.dryRun)
		rig.WriteFile(t, filepath.Join(dir, "calls"), "")
		if c.refuses {
			rig.WriteFile(t, filepath.Join(dir, "refuses"), "")
		}
		out, code := standbyScript(t, dir, "elastic-ip.sh", nil, strings.Fields(c.args)...)
		calls := rig.ReadFile(t, filepath.Join(dir, "calls"))
		if code != c.code || !strings.Contains(out, c.says) || strings.TrimSpace(rig.ReadFile(t, filepath.Join(dir, "at"))) != c.endsAt ||
			(calls != "") != c.asks || strings.Contains(calls, "associate-address --allocation-id eipalloc-0a1b --instance-id i-02 --allow-reassociation\n") != c.changes {
			t.Errorf("%s: exit code %d, %s\ncalls:\n%s", c.name, code, out, calls)
		}
	}
}

// TestKeepalivedIsSetUp has its configuration written, and refused.
func TestKeepalivedIsSetUp(t *testing.T) {
	t.Parallel()
	dir := rig.Dir(t)
	for _, program := range []string{"keepalived", "systemctl"} {
		rig.WriteFile(t, filepath.Join(dir, program), "#!/bin/sh\necho \"${0##*/} $*\" >>"+dir+
			"/calls\ncase $1 in --config-test=*) [ ! -e "+dir+"/refuses ] || echo bad >\"${1#*=}\"; kill $$ ;; esac\n")
		rig.Check(t, os.Chmod(filepath.Join(dir, program), 0o755))
	}
	conf, check := filepath.Join(dir, "etc", "keepalived.conf"), "https://127.0.0.1/.conforma-status/status.json"
	run := func(code int, says string, args ...string) {
		t.Helper()
		if out, got := standbyScript(t, dir, "keepalived.sh", []string{"KEEPALIVED_CONF=" + conf}, args...); got != code || !strings.Contains(out, says) {
			t.Errorf("%v: exit code %d, %s", args, got, out)
		}
	}
	run(0, "priority 150", "--dry-run", "host", "192.0.2.10/24", "eth0", check)
	run(0, "state BACKUP", "--dry-run", "standby", "2001:db8::10/64", "eth0", check)
	for says, args := range map[string][]string{
		"the call is":              {"host", "192.0.2.10/24", "lo"},
		"neither host nor standby": {"both", "192.0.2.10/24", "lo", check},
		"no address with its":      {"host", "192.0.2.10", "lo", check},
		"is no network interface":  {"host", "192.0.2.10/24", "lo}", check},
		"is no http or https URL":  {"host", "192.0.2.10/24", "lo", check + `" }`},
	} {
		run(2, says, args...)
	}
	run(1, "there is no network interface none", "host", "192.0.2.10/24", "none", check)
	if _, err := os.Stat(conf); err == nil {
		t.Error("something was written")
	}
	rig.WriteFile(t, filepath.Join(dir, "refuses"), "")
	run(1, "keepalived refuses it: bad", "host", "192.0.2.10/24", "lo", check)
	rig.Check(t, os.Remove(filepath.Join(dir, "refuses")))
	run(0, "wrote "+conf, "host", "192.0.2.10/24", "lo", check)
	run(0, "wrote "+conf, "standby", "192.0.2.10/24", "lo", check) // its own it replaces
	if got := rig.ReadFile(t, filepath.Join(dir, "calls")); !strings.HasSuffix(got, "systemctl reload-or-restart keepalived\n") {
		t.Errorf("calls:\n%s", got)
	}
	rig.WriteFile(t, conf, "mine\n")
	run(1, "is somebody else's", "host", "192.0.2.10/24", "lo", check)
	if got := rig.ReadFile(t, conf); got != "mine\n" {
		t.Errorf("it is replaced: %s", got)
	}
	if left, _ := filepath.Glob(conf + ".*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
