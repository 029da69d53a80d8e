package doctor

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// What the kernel barrier does beside keeping visitors away is named before it does it: by the doctor, by a dry run,
// and by the receipt of a closing.
func TestBarrierIsNamedBeforeItBites(t *testing.T) {
	t.Parallel()
	rig.NeedBarrier(t)
	if !rig.InOwnNetwork(t) { // with workers as root the kernel would refuse what other tests do as root
		return
	}
	d := newDoctored(t)
	app := rig.Loopback(d.App.Port)
	elsewhere := rig.Loopback(rig.Port(t))
	for _, f := range ofCheck(d.examine(t), "kernel barrier") {
		if f.Level != "ok" {
			t.Fatalf("before there is anything to name: %v", f)
		}
	}
	d.nginx(t, func(conf string) string {
		conf = strings.Replace(conf, "include sites-enabled/*.conf;", "include sites-enabled/*.conf;\nupstream app { server "+app+"; server "+elsewhere+" backup; }", 1)
		conf = strings.Replace(conf, "proxy_pass http://"+app+";", "proxy_pass http://app;\nerror_page 502 =200 @other;", 1)
		return strings.Replace(conf, "location / {", "location @other { proxy_pass http://"+elsewhere+"; }\nlocation / {", 1)
	})
	who, err := user.Lookup(d.Nginx.User)
	rig.Check(t, err)
	uid, err := strconv.ParseUint(who.Uid, 10, 32)
	rig.Check(t, err)
	stranger := exec.Command("bash", "-c", fmt.Sprintf("exec 3<>/dev/tcp/127.0.0.1/%d; echo; read", d.App.Port))
	stranger.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: rig.Nobody}}
	in, err := stranger.StdinPipe()
	rig.Check(t, err)
	out, err := stranger.StdoutPipe()
	rig.Check(t, err)
	rig.Check(t, stranger.Start())
	t.Cleanup(func() {
		in.Close()
		_ = stranger.Wait() // read fails at the end of its input
	})
	_, err = out.Read(make([]byte, 1))
	rig.Check(t, err) // it is connected
	named := []string{
		elsewhere + " too (", "leads a 502 elsewhere", fmt.Sprintf("process %d (bash, one of 1) has the user id of nginx's workers", stranger.Process.Pid),
	}

	said := texts(ofLevel(ofCheck(d.findings(t), "kernel barrier"), "warning"))
	for _, want := range named {
		if !strings.Contains(said, want) {
			t.Errorf("the doctor doesn't say %q: %s", want, said)
		}
	}
	rig.WriteFile(t, d.Enabled("other.conf"), fmt.Sprintf("server { listen %s; location / { proxy_pass http://%s; } }\n", rig.Loopback(rig.Port(t)), app))
	for _, how := range [][]string{{"--dry-run"}, {"--drain", "1s"}} {
		r := d.CLI(t, append([]string{"set", "offline", "--json"}, how...)...)
		var doc struct{ Sites []struct{ Warnings []string } }
		rig.Check(t, json.Unmarshal([]byte(r.Stdout), &doc))
		said := strings.Join(doc.Sites[0].Warnings, "\n")
		for _, want := range append(named, "leads to "+app, "the kernel refuses it while the site is closed") {
			if strings.Count(said, want) != 1 {
				t.Errorf("%v: %q is to be said once: %s", how, want, said)
			}
		}
	}
	d.CLI(t, "set", "online", "--force").Want(t, 0)

	conf := fmt.Sprintf("\n[[site]]\nname = \"neighbour\"\napp_url = \"http://127.0.0.1:1\"\nlisten = \"127.0.0.1:1\"\nupstreams = [%q]\n", app)
	for how, level := range map[string]string{"": "warning", "shared_upstream = true\n": "ok"} {
		mend := d.config(t, "grace     = ", how+"grace = ")
		d.EditConfig(t, "\n[[site]]", conf+how+"[[site]]")
		r := d.Call(t, rig.Call{Args: []string{"doctor", "--json", "--site", "demo"}})
		found := ofCheck(d.found(t, r), "kernel barrier")
		if len(found) != 1 || found[0].Level != level || !strings.Contains(found[0].Text, "an upstream is shared with a site that is open") {
			t.Errorf("of a shared upstream (%q): %v", how, found)
		}
		mend()
	}
	d.nginx(t, func(conf string) string { return strings.Replace(conf, "user "+d.Nginx.User+";", "user root;", 1) })
	if said := texts(ofCheck(d.findings(t), "kernel barrier")); !strings.Contains(said, "run as root") {
		t.Errorf("of workers that run as root it says %s", said)
	}
	for _, how := range []string{"off", "required"} {
		mend := d.config(t, "store ", "barrier = \""+how+"\"\nstore ")
		if found := ofCheck(d.findings(t), "kernel barrier"); (len(found) == 0) != (how == "off") {
			t.Errorf("with barrier = %q: %v", how, found)
		}
		mend()
	}
}

func texts(fs []finding) string {
	var out []string
	for _, f := range fs {
		out = append(out, f.Text)
	}
	return strings.Join(out, "\n")
}
