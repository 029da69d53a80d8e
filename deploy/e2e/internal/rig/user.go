package rig

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Nobody is the id of a user and group without any rights, as Debian has them.
const Nobody = 65534

// StartAsNobody is Start for an nginx whose master is an ordinary user, who gets all that lies in its directory.
// A test that isn't run by root starts nginx as its own user.
func (n *Nginx) StartAsNobody(tb testing.TB) {
	tb.Helper()
	if os.Geteuid() != 0 {
		n.Start(tb)
		return
	}
	err := filepath.WalkDir(n.Dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, Nobody, Nobody)
	})
	if err != nil {
		tb.Fatalf("rig: give nginx's directory away: %v", err)
	}
	who := fmt.Sprint(Nobody)
	args := append([]string{"--reuid", who, "--regid", who, "--clear-groups", "--bounding-set=-all"}, n.Args("-g", "daemon off;")...)
	n.launch(tb, exec.Command("setpriv", args...)) // which becomes nginx
}
