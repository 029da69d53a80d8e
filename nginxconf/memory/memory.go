// Package memory spares nginx the reading of a configuration that it has read before.
package memory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
)

// Nginx is an nginx whose configuration is remembered.
type Nginx struct {
	control.Nginx
	// File is the path of a file in which Test notes what it takes to know that nginx would read the same
	// configuration again, so that Config needn't ask; "" for none.
	File string
}

// Test asks nginx whether its configuration is in order. The error carries what nginx said.
func (n Nginx) Test(ctx context.Context) error {
	argv, err := n.DumpCommand()
	remembers := err == nil && n.File != ""
	if remembers {
		_, remembers = n.program(argv)
	}
	if !remembers {
		return n.Nginx.Test(ctx)
	}
	out, err := control.Output(ctx, argv) // -T tests as -t does, and prints what it has tested
	if err != nil {
		return fmt.Errorf("test nginx's configuration: %w", err)
	}
	n.remember(argv, out)
	return nil
}

// Config returns nginx's configuration. nginx is not asked where that is known: see File. The error wraps
// control.ErrNoDump like Dump's.
func (n Nginx) Config(ctx context.Context) (*operator.Config, error) {
	if argv, err := n.DumpCommand(); err == nil && n.File != "" {
		if c, ok := n.recall(argv); ok {
			return c, nil
		}
	}
	dump, err := n.Dump(ctx)
	if err != nil {
		return nil, err
	}
	return operator.ReadConfig(dump)
}

// memory is what it takes to know, without asking, that nginx -T would print again what it printed once: the
// program and its arguments, the files that it read, with a hash of each, and where it looked for more; and what we
// made of that. Of what stands in the files it holds no more than Config does.
type memory struct {
	Version  int              `json:"version"`
	Reader   string           `json:"reader"` // which conforma-status has read it, see identity
	Command  []string         `json:"command"`
	Program  string           `json:"program"`  // which nginx, likewise
	Files    []remembered     `json:"files"`    // in the order of the dump
	Includes []string         `json:"includes"` // absolute patterns
	Config   *operator.Config `json:"config"`
}

type remembered struct {
	Name string `json:"name"`
	Hash string `json:"hash"` // of its content, SHA-256 in hexadecimal
}

const memoryVersion = 2

// remember notes what nginx has just printed. What can't be relied on later is not noted; neither is a memory that
// can't be written an error: nginx is asked then.
func (n Nginx) remember(argv []string, dump []byte) {
	m := memory{Version: memoryVersion, Reader: reader(), Command: argv}
	var ok bool
	if m.Program, ok = n.program(argv); !ok || m.Reader == "" {
		return
	}
	c, files, includes, ok := operator.ReadFiles(dump)
	if !ok {
		return
	}
	for _, f := range files {
		content, ok := strings.CutSuffix(f.Content, "\n") // nginx ends each file with one of its own
		if !ok || !filepath.IsAbs(f.Name) {
			return
		}
		m.Files = append(m.Files, remembered{f.Name, hash([]byte(content))})
	}
	m.Includes, m.Config = includes, c
	data, err := json.Marshal(m)
	if err != nil {
		return
	}
	// Not for others to read: what somebody guesses of a file could be checked against its hash.
	_ = durable.WriteFile(n.File, data, 0o600)
}

// recall returns what nginx's configuration is if nginx -T would print what it printed when it was last remembered:
// the same program, and word for word the same files, no more and no less. Their times are not relied on.
func (n Nginx) recall(argv []string) (*operator.Config, bool) {
	data, err := os.ReadFile(n.File)
	var m memory
	if err != nil || json.Unmarshal(data, &m) != nil || m.Version != memoryVersion || m.Config == nil {
		return nil, false
	}
	if !slices.Equal(m.Command, argv) || m.Reader != reader() || len(m.Files) == 0 {
		return nil, false
	}
	if program, ok := n.program(argv); !ok || program != m.Program {
		return nil, false
	}
	names := map[string]bool{}
	for _, f := range m.Files {
		content, err := os.ReadFile(f.Name)
		if err != nil || hash(content) != f.Hash {
			return nil, false
		}
		names[filepath.Clean(f.Name)] = true
	}
	for _, pattern := range m.Includes {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, false
		}
		for _, name := range found {
			// By glob(3) a * doesn't stand for a dot at the beginning of a name.
			hidden := strings.HasPrefix(filepath.Base(name), ".") && !strings.HasPrefix(filepath.Base(pattern), ".")
			if !hidden && !names[filepath.Clean(name)] {
				return nil, false
			}
		}
	}
	return m.Config, true
}

func hash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// program is which program argv starts; ok only if it is the one that nginx's master runs, and not, say, a script
// that finds an nginx in a container.
func (n Nginx) program(argv []string) (which string, ok bool) {
	master, err := n.Master()
	if err != nil {
		return "", false
	}
	path, err := exec.LookPath(control.Program(argv[0]))
	if err != nil {
		return "", false
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", false
	}
	running, err := os.Stat(fmt.Sprintf("/proc/%d/exe", master))
	if err != nil || !os.SameFile(info, running) {
		return "", false
	}
	return identity(path, info), true
}

// reader is which conforma-status this is, "" where that can't be found out: another one may make something else of
// the same files.
func reader() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return identity(path, info)
}

func identity(path string, info os.FileInfo) string {
	stat := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%s %d:%d, %d bytes, %d", path, stat.Dev, stat.Ino, info.Size(), info.ModTime().UnixNano())
}
