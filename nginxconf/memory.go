package nginxconf

import (
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

	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
)

// memory is what it takes to know, without asking, that nginx -T would print again what it printed once: the program and its
// arguments, the files that it read, with a hash of each, and where it looked for more; and what we made of that. Of what stands in
// the files it holds no more than Config does.
type memory struct {
	Version  int          `json:"version"`
	Reader   string       `json:"reader"` // which conforma-status has read it, see identity
	Command  []string     `json:"command"`
	Program  string       `json:"program"`  // which nginx, likewise
	Files    []remembered `json:"files"`    // in the order of the dump
	Includes []string     `json:"includes"` // absolute patterns
	Config   *Config      `json:"config"`
}

type remembered struct {
	Name string `json:"name"`
	Hash string `json:"hash"` // of its content, SHA-256 in hexadecimal
}

const memoryVersion = 2

// remember notes what nginx has just printed. What can't be relied on later is not noted; neither is a memory that can't be written
// an error: nginx is asked then.
func (n Nginx) remember(argv []string, dump []byte) {
	m := memory{Version: memoryVersion, Reader: reader(), Command: argv}
	var ok bool
	if m.Program, ok = n.program(argv); !ok || m.Reader == "" {
		return
	}
	files := splitDump(string(dump))
	for _, f := range files {
		content, ok := strings.CutSuffix(f.text, "\n") // nginx ends each file with one of its own
		if !ok || !filepath.IsAbs(f.name) {
			return
		}
		m.Files = append(m.Files, remembered{f.name, hash([]byte(content))})
	}
	c, err := parseFiles(files)
	if err != nil {
		return
	}
	if m.Includes, ok = c.patterns(); !ok {
		return
	}
	ds, err := c.all()
	if err != nil {
		return
	}
	m.Config = configOf(ds)
	data, err := json.Marshal(m)
	if err != nil {
		return
	}
	// Not for others to read: what somebody guesses of a file could be checked against its hash.
	_ = durable.WriteFile(n.Memory, data, 0o600)
}

// recall returns what nginx's configuration is if nginx -T would print what it printed when it was last remembered: the same program,
// and word for word the same files, no more and no less. Their times are not relied on.
func (n Nginx) recall(argv []string) (*Config, bool) {
	data, err := os.ReadFile(n.Memory)
	var m memory
	if err != nil || json.Unmarshal(data, &m) != nil || m.Version != memoryVersion || !slices.Equal(m.Command, argv) || m.Config == nil {
		return nil, false
	}
	if m.Reader != reader() || len(m.Files) == 0 {
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

// program is which program argv starts; ok only if it is the one that nginx's master runs, and not, say, a script that finds an
// nginx in a container.
func (n Nginx) program(argv []string) (which string, ok bool) {
	master, err := n.Master()
	if err != nil {
		return "", false
	}
	path, err := exec.LookPath(program(argv[0]))
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

// reader is which conforma-status this is, "" where that can't be found out: another one may make something else of the same files.
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

// patterns are those by which the files, whose includes aren't resolved yet, include others; ok only if they mean the same to us as
// to nginx.
func (c *conf) patterns() (patterns []string, ok bool) {
	for _, name := range c.names {
		patterns = addPatterns(patterns, c.files[name].ds, c.prefix)
	}
	return patterns, !slices.ContainsFunc(patterns, func(p string) bool { return strings.ContainsAny(p, `[\`) })
}

func addPatterns(patterns []string, ds []*directive, prefix string) []string {
	for _, d := range ds {
		if d.includes() && strings.ContainsAny(d.args[0], "*?[") {
			pattern := d.args[0]
			if !filepath.IsAbs(pattern) {
				pattern = filepath.Join(prefix, pattern)
			}
			if !slices.Contains(patterns, pattern) {
				patterns = append(patterns, pattern)
			}
		}
		patterns = addPatterns(patterns, d.block, prefix)
	}
	return patterns
}
