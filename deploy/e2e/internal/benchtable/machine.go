package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

func thisMachine() (Machine, error) {
	m := Machine{Cores: runtime.NumCPU()}
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return m, err
	}
	cpus, err := fs.CPUInfo()
	if err != nil {
		return m, err
	}
	for _, c := range cpus {
		m.CPU = c.ModelName
	}
	memory, err := fs.Meminfo()
	if err != nil {
		return m, err
	}
	if memory.MemTotalBytes != nil {
		m.Memory = float64(*memory.MemTotalBytes) / (1 << 30)
	}
	load, err := fs.LoadAvg()
	if err != nil {
		return m, err
	}
	m.Load = load.Load1
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return m, fmt.Errorf("ask the kernel for its version: %w", err)
	}
	m.Kernel = string(u.Release[:bytes.IndexByte(u.Release[:], 0)])
	release, err := os.ReadFile("/etc/os-release") // os-release(5); where there is none, there is none
	if err == nil {
		m.System = systemName(string(release))
	}
	return m, nil
}

func systemName(release string) string {
	for line := range strings.Lines(release) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			return strings.Trim(name, `"'`)
		}
	}
	return ""
}

func theseVersions() Versions {
	return Versions{
		Go:       said(`go version (\S+)`, "go", "version"),
		Nginx:    said(`nginx/(\S+)`, "nginx", "-v"),
		Chromium: said(`(\d+\.\d+\.\d+\.\d+)`, "chromium-headless-shell", "--version"),
	}
}

// said returns what a command's output has for the group of the pattern, "" where it can't be run.
func said(pattern string, command ...string) string {
	out, _ := exec.Command(command[0], command[1:]...).CombinedOutput()
	if m := regexp.MustCompile(pattern).FindSubmatch(out); m != nil {
		return string(m[1])
	}
	return ""
}
