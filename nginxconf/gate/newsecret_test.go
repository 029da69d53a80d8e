package gate

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestInitSecret(t *testing.T) {
	good := "JWT_SECRET='" + strings.Repeat("x", 32) + "'\n"
	for _, c := range []struct {
		name, was string
		envFile   bool
		made      bool
		keeps     string
		err       error
	}{
		{"no file", "", true, true, "", nil},
		{"no such line", "PORT=50000\nWEB_HOST=x", true, true, "PORT=50000\nWEB_HOST=x\n", nil},
		{"an empty one", "JWT_SECRET=''\r\nPORT=50000\r\n", true, true, "PORT=50000\r\n", nil},
		{"a comment that looks like one", "#JWT_SECRET='a'\n", true, true, "#JWT_SECRET='a'\n", nil},
		{"a good one", good, true, false, good, nil},
		{"the default one", "JWT_SECRET=devsecret\n", true, false, "JWT_SECRET=devsecret\n", errSecretDefault},
		{"a short one", "JWT_SECRET=short\n", true, false, "JWT_SECRET=short\n", errSecretShort},
		{"quotes that don't pair", "JWT_SECRET='short\n", true, false, "JWT_SECRET='short\n", errSecretQuotes},
		{"a file of its own", "", false, true, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "demo.env")
			if c.was != "" {
				if err := os.WriteFile(path, []byte(c.was), 0o640); err != nil {
					t.Fatal(err)
				}
			}
			made, err := InitSecret(path, c.envFile)
			if made != c.made || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
				t.Fatalf("got %v, %v, want %v, %v", made, err, c.made, c.err)
			}
			data, err := os.ReadFile(path)
			if err != nil || !strings.HasPrefix(string(data), c.keeps) {
				t.Errorf("the file is %q (%v), want %q first", data, err, c.keeps)
			}
			if !c.made {
				return
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the file's mode is %v (%v)", info.Mode(), err)
			}
			read := ReadSecretFile
			if c.envFile {
				read = ReadEnvFile
			}
			if secrets, err := read(path); err != nil || len(secrets) != 1 || len(secrets[0]) != 64 {
				t.Errorf("read back: %d secrets, %v", len(secrets), err)
			}
		})
	}
}

// Application and gate are to share one secret, whoever made it.
func TestInitSecretAtOnce(t *testing.T) {
	real := filepath.Join(t.TempDir(), "real.env")
	if err := os.WriteFile(real, []byte("PORT=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link.env")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	count := make(chan bool, 20)
	for range cap(count) {
		wg.Go(func() {
			made, err := InitSecret(link, true)
			if err != nil {
				t.Error(err)
			}
			count <- made
		})
	}
	wg.Wait()
	close(count)
	n := 0
	for made := range count {
		if made {
			n++
		}
	}
	data, err := os.ReadFile(real)
	if n != 1 || err != nil || strings.Count(string(data), envKey) != 1 {
		t.Errorf("%d wrote one (%v)", n, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced")
	}
}
