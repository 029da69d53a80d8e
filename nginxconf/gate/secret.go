package gate

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
)

// Secret is what tokens are signed with. Printed, marshalled or logged, it is "[secret]", by itself and as an exported
// field. fmt calls no method on a field that isn't exported: so don't print a struct that keeps one there.
type Secret []byte

const hidden = "[secret]"

func (Secret) String() string               { return hidden }
func (Secret) GoString() string             { return hidden }
func (Secret) Format(f fmt.State, _ rune)   { fmt.Fprint(f, hidden) }
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }
func (Secret) LogValue() slog.Value         { return slog.StringValue(hidden) }

// What can be wrong with a secret; the errors of the functions that read one wrap these.
var (
	errSecretMissing = errors.New("there is no secret")                      // no such file, or no such line in it
	errSecretQuotes  = errors.New("the quotes around the secret don't pair") // in an env file
	errSecretEmpty   = errors.New("the secret is empty")
	errSecretDefault = errors.New("the secret is the default one that everybody knows")
	errSecretShort   = errors.New("the secret is shorter than 32 bytes")
	errSecretExposed = errors.New("the file with the secret is open to every user of this machine")
)

// minSecret is the shortest secret in bytes: the size of an HS256 hash (RFC 7518, 3.2).
const minSecret = 32

// defaultSecret is what Conforma signs with when nobody has set a secret.
const defaultSecret = "devsecret"

// checkSecret returns nil for a secret that tokens may be judged with, else errSecretEmpty, errSecretDefault or
// errSecretShort.
func checkSecret(secret Secret) error {
	switch {
	case len(secret) == 0:
		return errSecretEmpty
	case string(secret) == defaultSecret:
		return errSecretDefault
	case len(secret) < minSecret:
		return errSecretShort
	}
	return nil
}

// secretError is the error of a secret's file. err never holds anything of what is in the file.
type secretError struct {
	path    string
	envFile bool // a file of KEY=value lines, not the secret alone
	err     error
}

func (e *secretError) Error() string { return fmt.Sprintf("read secret from %s: %v", e.path, e.err) }
func (e *secretError) Unwrap() error { return e.err }

// Hint says in one line what to do about an error from ReadEnvFile, ReadSecretFile or the source that
// CachedFile makes; "" for any other error.
func Hint(err error) string {
	var e *secretError
	if !errors.As(err, &e) {
		return ""
	}
	what := "a secret"
	if e.envFile {
		what = "a line " + envKey + "='…'"
	}
	switch {
	case errors.Is(err, errSecretMissing), errors.Is(err, errSecretEmpty):
		return fmt.Sprintf("put %s into %s: what the application signs with (openssl rand -hex 32 makes one)",
			what, e.path)
	case errors.Is(err, errSecretDefault), errors.Is(err, errSecretShort):
		return fmt.Sprintf("put %s of 32 or more random bytes into %s (openssl rand -hex 32 makes one), "+
			"and start the application anew with it", what, e.path)
	case errors.Is(err, errSecretQuotes):
		return fmt.Sprintf("close the quotes around %s in %s, with nothing but a comment behind them", envKey, e.path)
	case errors.Is(err, errSecretExposed):
		return "chmod o= " + e.path
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("let the user who runs this read %s (its group may, others may not)", e.path)
	}
	return ""
}
