package maintenance

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
)

// derived is a secret that all hosts of a fleet make of its key: for that purpose, that site and that order.
func derived(key gate.Secret, purpose, site string, order uint64) []byte {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%q %q %d", purpose, site, order)
	return mac.Sum(nil)
}

// keepPassKey writes what the passes of a site without a [site.jwt] are made with: it is the same on all hosts.
func (h *Host) keepPassKey(key gate.Secret, s config.Site) error {
	if s.JWT != nil {
		return nil
	}
	path := h.Dir().PassKeyFile(s.Name)
	text := hex.EncodeToString(derived(key, "fleet pass key 1", s.Name, 0)) + "\n"
	if was, err := os.ReadFile(path); err == nil && string(was) == text {
		return nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keep the key of the passes of %s: %w", s.Name, err)
	}
	if err := state.MakeDirs(filepath.Dir(path)); err != nil {
		return err
	}
	if err := durable.ReplaceFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("keep the key of the passes of %s: %w", s.Name, err)
	}
	return nil
}

// keepEpoch writes what the passes of one order have in common: they are good on all hosts, until the next order.
func (h *Host) keepEpoch(key gate.Secret, site string, order uint64) error {
	epoch := base32.StdEncoding.EncodeToString(derived(key, "fleet passes 1", site, order))[:26]
	if _, err := state.Replace(h.Dir().EpochFile(site), []byte(epoch+"\n")); err != nil {
		return fmt.Errorf("keep the epoch of the passes of %s: %w", site, err)
	}
	return nil
}
