package gate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	envKey         = "JWT_SECRET"
	envKeyPrevious = "JWT_SECRET_PREVIOUS"
	maxSecretFile  = 1 << 20 // bytes
)

// ReadEnvFile reads the secret from the last JWT_SECRET= line of an env file: a line is KEY=value, in single or
// double quotes or none, after an optional export; one that begins with # is a comment, as is what follows a blank
// and # behind the value. Between quotes everything is taken as it stands: no escapes, no variables. Lines may end
// in CRLF. Where there is a JWT_SECRET_PREVIOUS= line, its secret comes second: tokens from before a rotation are
// good until it is taken out.
//
// These are the rules of Docker Compose but for escapes and variables, which Conforma's launch script doesn't have.
// That script (docker/demo_server/launch) knows less: it takes a comment behind a value for a part of it, and
// doesn't see a line with export, blanks before = or a CRLF at all. Where the two differ, the gate refuses the
// application's tokens; it never admits more.
//
// Its errors name the file and never quote it. They say that there is no secret, that its quotes don't pair, that
// it is empty, known to everybody or too short, that the file is open to others, or what kept it from being read,
// the first of these that applies: a secret that has to be replaced comes before the mode of the file that it is
// in. Hint says what to do.
func ReadEnvFile(path string) ([]Secret, error) {
	return readSecrets(path, true, func(data []byte) ([]Secret, error) {
		secret, err := fromEnv(data, envKey)
		if err != nil {
			return nil, err
		}
		previous, err := fromEnv(data, envKeyPrevious)
		if errors.Is(err, errSecretMissing) {
			return []Secret{secret}, nil
		}
		return []Secret{secret, previous}, err
	})
}

// ReadSecretFile reads a file that holds secrets and nothing else, one a line (LF or CRLF): the one that the
// application signs with first, those from before a rotation after it. Its errors are those of ReadEnvFile.
func ReadSecretFile(path string) ([]Secret, error) {
	return readSecrets(path, false, func(data []byte) ([]Secret, error) {
		var secrets []Secret
		for line := range bytes.SplitSeq(bytes.TrimRight(data, "\r\n"), []byte("\n")) {
			secrets = append(secrets, bytes.TrimSuffix(line, []byte("\r")))
		}
		return secrets, nil
	})
}

func readSecrets(path string, envFile bool, parse func([]byte) ([]Secret, error)) ([]Secret, error) {
	secrets, err := checkedSecrets(path, parse)
	if err == nil {
		return secrets, nil
	}
	var onPath *fs.PathError
	if errors.As(err, &onPath) { // the path is named once, by secretError
		err = onPath.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", errSecretMissing, err)
	}
	return nil, &secretError{path: path, envFile: envFile, err: err}
}

func checkedSecrets(path string, parse func([]byte) ([]Secret, error)) ([]Secret, error) {
	data, mode, err := ReadRegular(path)
	if err != nil {
		return nil, err
	}
	secrets, err := parse(data)
	if err != nil {
		return nil, err
	}
	for i, secret := range secrets {
		if err := checkSecret(secret); err != nil {
			return nil, err
		}
		secrets[i] = bytes.Clone(secret) // the rest of the file isn't kept: it may hold other passwords
	}
	if mode&0o007 != 0 {
		return nil, errSecretExposed
	}
	return secrets, nil
}

// ReadRegular reads a file of at most 1 MB that is one, and no pipe or device. Its errors are those of the file system.
func ReadRegular(path string) (data []byte, mode fs.FileMode, err error) {
	// Without O_NONBLOCK, opening a FIFO waits for somebody to write to it.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errors.New("not a regular file")
	}
	data, err = io.ReadAll(io.LimitReader(file, maxSecretFile+1))
	if len(data) > maxSecretFile {
		err = errors.New("larger than 1 MB")
	}
	return data, info.Mode(), err
}

// fromEnv finds the secret of that key in the text of an env file, unchecked.
func fromEnv(data []byte, key string) (Secret, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // the byte order mark that some editors write
	var secret Secret
	err := fmt.Errorf("%w: no %s= line", errSecretMissing, key)
	for line := range bytes.Lines(data) {
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		if value, found := envValue(line, key); found {
			secret, err = unquote(value)
		}
	}
	return secret, err
}

const blanks = " \t"

// envValue returns what stands behind KEY= in a line, found being false when the line is about something else.
func envValue(line []byte, key string) (value []byte, found bool) {
	name, value, found := bytes.Cut(line, []byte("="))
	if !found {
		return nil, false
	}
	name = bytes.Trim(name, blanks)
	if rest, exported := bytes.CutPrefix(name, []byte("export")); exported {
		if key := bytes.TrimLeft(rest, blanks); len(key) < len(rest) {
			name = key
		}
	}
	return value, string(name) == key
}

// unquote takes the quotes, the comment and the blanks off a value.
func unquote(value []byte) (Secret, error) {
	text := bytes.TrimLeft(value, blanks)
	if len(text) == 0 || text[0] != '\'' && text[0] != '"' {
		return bytes.Trim(withoutComment(value), blanks), nil
	}
	// A quote that is followed by more of the value is a part of it, as Conforma's launch script reads it.
	for i := 1; i < len(text); i++ {
		if text[i] != text[0] {
			continue
		}
		rest := bytes.TrimLeft(text[i+1:], blanks)
		if len(rest) == 0 || rest[0] == '#' && len(rest) < len(text)-i-1 {
			return text[1:i], nil
		}
	}
	return nil, errSecretQuotes
}

// withoutComment cuts a value that is not in quotes before the first # that follows a blank.
func withoutComment(value []byte) []byte {
	for i := 1; i < len(value); i++ {
		if value[i] == '#' && (value[i-1] == ' ' || value[i-1] == '\t') {
			return value[:i]
		}
	}
	return value
}

// CopyOf returns read (ReadEnvFile or ReadSecretFile) with original, the file that what it reads is a copy of,
// named in its errors and their hints.
func CopyOf(original string, read func(path string) ([]Secret, error)) func(path string) ([]Secret, error) {
	return func(path string) ([]Secret, error) {
		secrets, err := read(path)
		if e, is := errors.AsType[*secretError](err); is {
			err = &secretError{path: original, envFile: e.envFile, err: e.err}
		}
		return secrets, err
	}
}

// settled is how long a file must have stood unchanged before its times can tell that it still is:
// file systems count in steps of up to two seconds.
const settled = 2 * time.Second

// CachedFile returns a source of the secrets in the file at path for a SiteSource. It looks at the file's size,
// times, mode and identity each time, and calls read (ReadEnvFile or ReadSecretFile) again when any has changed; a
// file that changed less than two seconds before now, and one that can't be read or is refused, is read each time.
// So a secret that is replaced holds at once, and one that is taken away or spoilt is gone at once. Safe for
// concurrent use.
func CachedFile[T any](path string, read func(path string) (T, error), now func() time.Time) func() (T, error) {
	type entry struct {
		file  fileState
		value T
	}
	var last atomic.Pointer[entry]
	return func() (T, error) {
		file, err := stateOf(path)
		if err != nil {
			return read(path) // which fails as well, and says so in its own words
		}
		if e := last.Load(); e != nil && e.file == file {
			return e.value, nil
		}
		value, err := read(path)
		if err == nil && now().Sub(time.Unix(file.changed.Unix())) >= settled {
			last.Store(&entry{file, value})
		}
		return value, err
	}
}

// fileState is what stays the same while a file does.
type fileState struct {
	device, inode, mode uint64
	size                int64
	modified            unix.Timespec
	changed             unix.Timespec // ctime in inode(7): tar and cp -p set a file's other time, nobody this one
}

func stateOf(path string) (fileState, error) {
	var s unix.Stat_t
	if err := unix.Stat(path, &s); err != nil {
		return fileState{}, err
	}
	return fileState{uint64(s.Dev), uint64(s.Ino), uint64(s.Mode), s.Size, s.Mtim, s.Ctim}, nil
}
