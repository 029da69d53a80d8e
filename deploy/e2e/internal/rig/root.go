package rig

import (
	"os"
)

// AsRoot is a command that runs another one as root, of a namespace where the tests aren't.
func AsRoot() []string {
	if os.Geteuid() == 0 {
		return nil
	}
	return []string{"unshare", "--map-root-user"}
}

// Powerless is a command that runs another one as a root whom the kernel refuses what it refuses others, as a security
// module does.
func Powerless() []string {
	return append(AsRoot(), "setpriv", "--bounding-set=-all", "--inh-caps=-all")
}

// AsRootWith is unshare with the flags, as root of a namespace where the tests aren't.
func AsRootWith(flags string) []string {
	if os.Geteuid() == 0 {
		return []string{"unshare", flags}
	}
	return []string{"unshare", "--map-root-user", flags}
}
