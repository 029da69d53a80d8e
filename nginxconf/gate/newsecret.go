package gate

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
)

// InitSecret writes a new secret of 32 random bytes, in hexadecimal, to the file at path if it has none: as the last
// line of an env file, whose other lines stay, or as all of a secret file. Afterwards the file has mode 0600, and its
// owner as before. If there is a good secret, made is false and nothing is touched. If there is a bad one, or the file
// can't be read, the error is that of ReadEnvFile or ReadSecretFile. Of several callers at the same time one writes.
func InitSecret(path string, envFile bool) (made bool, err error) {
	fail := func(err error) (bool, error) { return false, fmt.Errorf("write a secret to %s: %w", path, err) }
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // what the link leads to is replaced, not the link
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fail(err)
	}
	defer dir.Close() // which ends the lock
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return fail(err)
	}
	read := ReadSecretFile
	if envFile {
		read = ReadEnvFile
	}
	if _, err := read(path); err == nil {
		return false, nil
	} else if !errors.Is(err, errSecretMissing) && !errors.Is(err, errSecretEmpty) {
		return false, err
	}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(err)
	}
	random := make([]byte, minSecret)
	rand.Read(random) // never fails (crypto/rand)
	text := hex.EncodeToString(random)
	if envFile {
		text = string(withoutSecret(data)) + envKey + "='" + text + "'"
	}
	if err := durable.ReplaceFile(path, []byte(text+"\n"), 0o600); err != nil {
		return fail(err)
	}
	return true, nil
}

// withoutSecret is the text of an env file without the line of an empty secret, ending in a line end unless it is
// empty.
func withoutSecret(data []byte) []byte {
	var out []byte
	for line := range bytes.Lines(data) {
		if _, found := envValue(bytes.TrimRight(line, "\r\n"), envKey); !found {
			out = append(out, line...)
		}
	}
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, '\n')
	}
	return out
}
