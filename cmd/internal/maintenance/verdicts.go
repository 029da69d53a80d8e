package maintenance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
)

// verdict is how nginx names a file of its cache, and one that it is still writing (ngx_http_file_cache_name).
var verdict = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{32}([.][0-9]{10})?$`) })

// memoryFile is the file in which the first release noted what nginx had read.
const memoryFile = "nginx.json"

// forgetVerdicts deletes what nginx has left in the directory of the first release's gate.remember, because tokens are
// in it. The directory stays: nginx may use it until its next reload.
func (h *Host) forgetVerdicts() error {
	if err := durable.Remove(filepath.Join(h.Config.StateDir, memoryFile)); err != nil {
		return fmt.Errorf("delete what an earlier release has left: %w", err)
	}
	if h.Config.Gate.Verdicts == "" {
		return nil
	}
	dir, err := os.OpenRoot(h.Config.Gate.Verdicts)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete the tokens in %s: %w", h.Config.Gate.Verdicts, err)
	}
	defer dir.Close()
	files, err := fs.ReadDir(dir.FS(), ".")
	errs := []error{err}
	for _, f := range files {
		if !f.Type().IsRegular() || !verdict().MatchString(f.Name()) {
			continue
		}
		if err := dir.Remove(f.Name()); !errors.Is(err, fs.ErrNotExist) { // nginx itself deletes them, too
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("delete the tokens in %s: %w", h.Config.Gate.Verdicts, err)
	}
	return nil
}
