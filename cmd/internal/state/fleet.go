package state

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/status"
)

// followedVersion is the version of the file.
const followedVersion = 1

// Followed is what this host keeps of the orders to its fleet for one site. The zero value is that of a host that has
// followed none.
type Followed struct {
	Version int         `json:"version"`
	Order   uint64      `json:"order"`  // the highest that it has followed
	Wanted  status.Mode `json:"wanted"` // by that order, "" for none
	// Waits is set while the site is shut because this host has begun and has not read the order yet.
	Waits bool `json:"waits,omitempty"`
	// Pending is set while the site was closed here alone, with the store away.
	Pending bool `json:"pending,omitempty"`
	// Switch is the status document as it was last read, nil before.
	Switch *status.Document `json:"switch"`
}

// followedFile is the file that holds what is kept for a site.
func (d Dir) followedFile(site string) string { return filepath.Join(string(d), "fleet", site+".json") }

// Followed returns what is kept for a site. A file that can't be understood is an error: it says what may not be
// opened.
func (d Dir) Followed(site string) (f Followed, err error) {
	f, _, err = read(d.followedFile(site), followedVersion, func(f Followed) int { return f.Version })
	return f, wrapped("read what this host has followed: "+d.followedFile(site), err)
}

// WriteFollowed replaces what is kept for a site.
func (d Dir) WriteFollowed(site string, f Followed) error {
	f.Version = followedVersion
	return wrapped("write down what this host follows", write(d.followedFile(site), mustJSON(f)))
}

// Unhealthy has nginx say at its HealthPath that the site is not healthy while its closed file is there: the host has
// shut itself, whatever visitors are told. The next WriteAnswers undoes it.
func (d Dir) Unhealthy(site string) error {
	if err := MakeDirs(d.SiteDir(site)); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.SiteDir(site), nginxconf.ToldOpenFile), nil, 0o644)
}

// instance is a word that stands for this machine, and the machine that it was made on.
type instance struct {
	ID      string `json:"id"`
	Machine string `json:"machine"`
}

func (d Dir) instanceFile() string { return filepath.Join(string(d), "fleet", "instance.json") }

func (d Dir) instance() (i instance) {
	data, err := os.ReadFile(d.instanceFile())
	if err != nil || json.Unmarshal(data, &i) != nil {
		return instance{}
	}
	return i
}

// Instance returns the word that stood for this machine last, "" for none, or for a file that can't be understood.
func (d Dir) Instance() string { return d.instance().ID }

// ThisInstance is a random word that names this machine in its receipts. A copy of its disk, or of its state directory,
// gets another word.
func (d Dir) ThisInstance() (string, error) {
	if err := MakeDirs(string(d)); err != nil {
		return "", err
	}
	machine, err := d.machine()
	if err != nil {
		return "", err
	}
	i := d.instance()
	if i.ID != "" && i.Machine == machine {
		return i.ID, nil
	}
	i = instance{ID: rand.Text(), Machine: machine}
	return i.ID, wrapped("write down which machine this is", write(d.instanceFile(), mustJSON(i)))
}

// machine is what two machines don't have in common: the identity of the hardware, where there is one, that of the
// system, and the place of the state directory.
func (d Dir) machine() (string, error) {
	info, err := os.Stat(string(d))
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, file := range []string{"/sys/class/dmi/id/product_uuid", "/etc/machine-id"} { // smbios, machine-id(5)
		id, _ := os.ReadFile(file)
		fmt.Fprintf(sum, "%q", strings.TrimSpace(string(id)))
	}
	path, err := filepath.EvalSymlinks(string(d))
	if err != nil {
		return "", err
	}
	inode := uint64(0)
	if s, is := info.Sys().(*syscall.Stat_t); is {
		inode = s.Ino
	}
	fmt.Fprintf(sum, "%q %d", path, inode)
	return hex.EncodeToString(sum.Sum(nil)[:16]), nil
}
