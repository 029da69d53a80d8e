package state

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

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
	if err != nil {
		err = fmt.Errorf("read what this host has followed: %s: %w", d.followedFile(site), err)
	}
	return f, err
}

// WriteFollowed replaces what is kept for a site.
func (d Dir) WriteFollowed(site string, f Followed) error {
	f.Version = followedVersion
	if err := write(d.followedFile(site), mustJSON(f)); err != nil {
		return fmt.Errorf("write down what this host follows: %w", err)
	}
	return nil
}

// Unhealthy has nginx say at its HealthPath that the site is not healthy while its closed file is there: the host has
// shut itself, whatever visitors are told. The next WriteAnswers undoes it.
func (d Dir) Unhealthy(site string) error {
	if err := MakeDirs(d.SiteDir(site)); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.SiteDir(site), nginxconf.ToldOpenFile), nil, 0o644)
}

// Instance is a word that stands for this machine, and the machine that it was made on.
type Instance struct {
	ID      string `json:"id"`
	Machine string `json:"machine"`
}

func (d Dir) instanceFile() string { return filepath.Join(string(d), "fleet", "instance.json") }

// Instance returns what was last written, the zero Instance for none, or for a file that can't be understood.
func (d Dir) Instance() (i Instance) {
	data, err := os.ReadFile(d.instanceFile())
	if err != nil || json.Unmarshal(data, &i) != nil {
		return Instance{}
	}
	return i
}

// WriteInstance replaces it.
func (d Dir) WriteInstance(i Instance) error {
	if err := write(d.instanceFile(), mustJSON(i)); err != nil {
		return fmt.Errorf("write down which machine this is: %w", err)
	}
	return nil
}
