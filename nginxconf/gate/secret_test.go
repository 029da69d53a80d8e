package gate

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestSecretNeverPrints(t *testing.T) {
	secret := Secret(testSecret)
	type holder struct{ Secret Secret }
	values := map[string]any{
		"itself": secret, "pointer": &secret, "struct": holder{secret}, "pointer to a struct": &holder{secret},
		"map": map[string]Secret{"k": secret}, "list": []Secret{secret}, "any": []any{secret},
		"error": fmt.Errorf("read: %v", secret),
	}
	check := func(t *testing.T, how, printed string) {
		t.Helper()
		for _, form := range []string{testSecret, fmt.Sprintf("%x", testSecret), fmt.Sprintf("%X", testSecret), fmt.Sprint([]byte(testSecret)),
			encode(testSecret), testSecret[:8], strings.Trim(fmt.Sprint([]byte(testSecret[:4])), "[]"), "0x53, 0x45"} {
			if strings.Contains(printed, form) {
				t.Errorf("%s shows the secret: %s", how, printed)
			}
		}
	}
	for name, value := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%+q", "%x", "%X", "% x", "%#x", "%d", "%c", "%U", "%o", "%b", "%t", "%e", "%10.3s", "%T", "%z"} {
			check(t, name+" "+verb, fmt.Sprintf(verb, value))
		}
		check(t, name+" Sprint", fmt.Sprint(value)+fmt.Sprintln(value))
		if name == "error" {
			continue
		}
		text, err := json.Marshal(value)
		if err != nil || !strings.Contains(string(text), hidden) {
			t.Errorf("%s as JSON: %s, %v", name, text, err)
		}
		check(t, name+" as JSON", string(text))
		for _, handler := range []func(*bytes.Buffer) slog.Handler{
			func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
			func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		} {
			var out bytes.Buffer
			slog.New(handler(&out)).Info("m", "v", value, slog.Group("g", "v", value))
			check(t, name+" in slog", out.String())
		}
	}
	for _, printed := range []string{secret.String(), secret.GoString(), fmt.Sprintf("%s %v", secret, secret)[:len(hidden)]} {
		if printed != hidden {
			t.Errorf("got %q, want %q", printed, hidden)
		}
	}
	text, err := xml.Marshal(holder{secret})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "XML", string(text))
}

// write makes a file with the mode given, whatever the umask.
func write(t testing.TB, path, content string, mode fs.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadEnvFile(t *testing.T) {
	const s = testSecret
	for _, tt := range []struct {
		name, content string
		want          string // the secret
		err           error
	}{
		{"as it stands", "JWT_SECRET=" + s + "\n", s, nil},
		{"no line end", "JWT_SECRET=" + s, s, nil},
		{"single quotes", "JWT_SECRET='" + s + "'\n", s, nil},
		{"double quotes", `JWT_SECRET="` + s + `"` + "\n", s, nil},
		{"CRLF", "PORT=8000\r\nJWT_SECRET=" + s + "\r\nTAG=x\r\n", s, nil},
		{"CRLF and quotes", "JWT_SECRET='" + s + "'\r\n", s, nil},
		{"export", "export JWT_SECRET=" + s + "\n", s, nil},
		{"export, blanks and quotes", "  export \t JWT_SECRET = '" + s + "'  \n", s, nil},
		{"among others", "# demo\nPORT=8000\nSMTP_PASSWORD='some_password'\n\nJWT_SECRET='" + s + "'\nWEB_HOST=http://localhost:8000\n", s, nil},
		{"a comment behind", "JWT_SECRET=" + s + " # since May\n", s, nil},
		{"a comment behind quotes", "JWT_SECRET='" + s + "'\t# it's new\n", s, nil},
		{"# within", "JWT_SECRET=" + s + "#x\n", s + "#x", nil},
		{"# at the start", "JWT_SECRET=#" + s + "\n", "#" + s, nil},
		{"# and a blank within quotes", "JWT_SECRET='" + s + " # x'\n", s + " # x", nil},
		{"= within", "JWT_SECRET=" + s + "==\n", s + "==", nil},
		{"blanks within quotes", "JWT_SECRET=' " + s + " '\n", " " + s + " ", nil},
		{"$ and backslash as they stand", `JWT_SECRET="$HOME\n` + s + `\"x"` + "\n", `$HOME\n` + s + `\"x`, nil},
		{"the other quote within", `JWT_SECRET="it's ` + s + `"`, `it's ` + s, nil},
		{"the same quote within", `JWT_SECRET='it's ` + s + `'`, `it's ` + s, nil},
		{"a quote at the end only", "JWT_SECRET=" + s + "'", s + "'", nil},
		{"a byte order mark", "\ufeffJWT_SECRET=" + s, s, nil},
		{"the last one wins", "JWT_SECRET=x\nJWT_SECRET='" + s + "'\n", s, nil},
		{"a good one last, a broken one before", "JWT_SECRET='x\nJWT_SECRET=" + s + "\n", s, nil},
		{"32 bytes", "JWT_SECRET=" + s[:32], s[:32], nil},
		{"not only ASCII", "JWT_SECRET=" + strings.Repeat("é", 16), strings.Repeat("é", 16), nil},

		{"the one of before too", "JWT_SECRET_PREVIOUS='" + otherSecret + "'\nJWT_SECRET=" + s, s + "|" + otherSecret, nil},
		{"the one of before alone", "JWT_SECRET_PREVIOUS='" + otherSecret + "'\n", "", errSecretMissing},
		{"a bad one of before", "JWT_SECRET=" + s + "\nJWT_SECRET_PREVIOUS=devsecret", "", errSecretDefault},
		{"an empty one of before", "JWT_SECRET=" + s + "\nJWT_SECRET_PREVIOUS=\n", "", errSecretEmpty},
		{"the one of before in quotes that don't pair", "JWT_SECRET=" + s + "\nJWT_SECRET_PREVIOUS='x\n", "", errSecretQuotes},
		{"an empty file", "", "", errSecretMissing},
		{"no such line", "PORT=8000\n", "", errSecretMissing},
		{"in a comment", "#JWT_SECRET=" + s + "\n # JWT_SECRET=" + s, "", errSecretMissing},
		{"a longer name", "JWT_SECRET_OLD=" + s + "\nMY_JWT_SECRET=" + s, "", errSecretMissing},
		{"in small letters", "jwt_secret=" + s, "", errSecretMissing},
		{"no =", "JWT_SECRET " + s, "", errSecretMissing},
		{"exported without a blank", "exportJWT_SECRET=" + s, "", errSecretMissing},
		{"nothing behind =", "JWT_SECRET=\n", "", errSecretEmpty},
		{"blanks behind =", "JWT_SECRET= \t\n", "", errSecretEmpty},
		{"a comment behind =", "JWT_SECRET= # " + s + "\n", "", errSecretEmpty},
		{"nothing in quotes", "JWT_SECRET=''\n", "", errSecretEmpty},
		{"an empty one last", "JWT_SECRET=" + s + "\nJWT_SECRET=\n", "", errSecretEmpty},
		{"the default", "JWT_SECRET=devsecret\n", "", errSecretDefault},
		{"the default in quotes", "JWT_SECRET=\"devsecret\" # !\n", "", errSecretDefault},
		{"short", "JWT_SECRET=" + s[:31] + "\n", "", errSecretShort},
		{"short without its quotes", "JWT_SECRET='" + s[:30] + "'\n", "", errSecretShort},
		{"a quote not closed", "JWT_SECRET='" + s + "\n", "", errSecretQuotes},
		{"closed by another", "JWT_SECRET='" + s + "\"\n", "", errSecretQuotes},
		{"one quote", "JWT_SECRET='\n", "", errSecretQuotes},
		{"more behind the quotes", "JWT_SECRET='" + s + "'" + s + "\n", "", errSecretQuotes},
		{"# right behind the quotes", "JWT_SECRET='" + s + "'#x\n", "", errSecretQuotes},
		{"over two lines", "JWT_SECRET='" + s + "\n" + s + "'\n", "", errSecretQuotes},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, filepath.Join(t.TempDir(), "demo.env"), tt.content, 0o640)
			secret, err := ReadEnvFile(path)
			checkRead(t, path, secret, err, tt.want, tt.err)
		})
	}
}

func TestReadSecretFile(t *testing.T) {
	const s = testSecret
	for _, tt := range []struct {
		name, content string
		want          string
		err           error
	}{
		{"as it stands", s, s, nil},
		{"a line end", s + "\n", s, nil},
		{"CRLF", s + "\r\n", s, nil},
		{"two line ends", s + "\n\n", s, nil},
		{"two secrets", s + "\n" + otherSecret + "\n", s + "|" + otherSecret, nil},
		{"two secrets, CRLF", s + "\r\n" + otherSecret + "\r\n", s + "|" + otherSecret, nil},
		{"a line left out", s + "\n\n" + otherSecret, "", errSecretEmpty},
		{"the default for a second", s + "\ndevsecret\n", "", errSecretDefault},
		{"a short second", s + "\n" + s[:31], "", errSecretShort},
		{"CR alone", s + "\r", s, nil},
		{"quotes are part of it", "'" + s + "'", "'" + s + "'", nil},
		{"any bytes", s + "\x00\xff", s + "\x00\xff", nil},
		{"empty", "", "", errSecretEmpty},
		{"a line end alone", "\n", "", errSecretEmpty},
		{"the default", "devsecret\n", "", errSecretDefault},
		{"short", s[:31] + "\n", "", errSecretShort},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, filepath.Join(t.TempDir(), "secret"), tt.content, 0o600)
			secret, err := ReadSecretFile(path)
			checkRead(t, path, secret, err, tt.want, tt.err)
		})
	}
}

// joined is the secrets with a bar between them.
func joined(secrets []Secret) string {
	var all []string
	for _, s := range secrets {
		all = append(all, string(s))
	}
	return strings.Join(all, "|")
}

func checkRead(t *testing.T, path string, secrets []Secret, err error, want string, wantErr error) {
	t.Helper()
	if !errors.Is(err, wantErr) || joined(secrets) != want {
		t.Errorf("got %q, %v, want %q, %v", joined(secrets), err, want, wantErr)
	}
	if err == nil {
		return
	}
	said := err.Error() + Hint(err) + fmt.Sprintf("%+v %#v", err, err)
	if strings.Contains(said, testSecret[:8]) {
		t.Errorf("the error quotes the file: %s", said)
	}
	if !strings.HasPrefix(err.Error(), "read secret from "+path+": ") || strings.Count(err.Error(), path) != 1 {
		t.Errorf("the error names the file other than once: %v", err)
	}
	if !strings.Contains(Hint(err), path) || strings.Contains(Hint(err), "\n") {
		t.Errorf("the hint is %q", Hint(err))
	}
}

func TestSecretFileItself(t *testing.T) {
	read := map[string]func(string) ([]Secret, error){"env": ReadEnvFile, "alone": ReadSecretFile}
	good := map[string]string{"env": "JWT_SECRET=" + testSecret + "\n", "alone": testSecret + "\n"}
	bad := map[string]string{"env": "JWT_SECRET=devsecret\n", "alone": "devsecret\n"}
	for kind, read := range read {
		t.Run(kind, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "the file")
			_, err := read(path)
			checkRead(t, path, nil, err, "", errSecretMissing)

			for mode, want := range map[fs.FileMode]error{0o600: nil, 0o640: nil, 0o660: nil, 0o400: nil, 0o644: errSecretExposed,
				0o604: errSecretExposed, 0o602: errSecretExposed, 0o601: errSecretExposed, 0o777: errSecretExposed} {
				write(t, path, good[kind], mode)
				secret, err := read(path)
				if want == nil {
					checkRead(t, path, secret, err, testSecret, nil)
					continue
				}
				checkRead(t, path, secret, err, "", want)
				if Hint(err) != "chmod o= "+path {
					t.Errorf("mode %o: the hint is %q", mode, Hint(err))
				}
			}
			write(t, path, bad[kind], 0o644)
			_, err = read(path)
			checkRead(t, path, nil, err, "", errSecretDefault) // a new one has to be written anyway

			write(t, path, good[kind], 0o600)
			link := filepath.Join(t.TempDir(), "link")
			if err := os.Symlink(path, link); err != nil {
				t.Fatal(err)
			}
			secret, err := read(link)
			checkRead(t, link, secret, err, testSecret, nil)
		})
	}
	if hint := Hint(errors.New("something else")); hint != "" {
		t.Errorf("a hint on an error of somebody else: %q", hint)
	}
	denied := &secretError{path: "/x", err: fs.ErrPermission} // the tests may run as root, who is never denied
	if !strings.Contains(Hint(denied), "/x") {
		t.Errorf("no hint on %v", denied)
	}
}

func TestSecretFileOfAnotherKind(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo") // to which nobody writes
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	large := write(t, filepath.Join(dir, "large"), strings.Repeat(testSecret+"\n", maxSecretFile/len(testSecret)), 0o600)
	for _, path := range []string{dir, fifo, large} {
		for _, read := range []func(string) ([]Secret, error){ReadEnvFile, ReadSecretFile} {
			secret, err := read(path)
			if err == nil || secret != nil || strings.Contains(err.Error(), testSecret[:8]) {
				t.Errorf("%s: got %v, %v", path, secret, err)
			}
		}
	}
}

func TestCachedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "demo.env")
	reads := 0
	read := func(path string) ([]Secret, error) { reads++; return ReadEnvFile(path) }
	clock := time.Now() // the file's times are the system's
	source := CachedFile(path, read, func() time.Time { return clock })

	expect := func(what, want string, wantErr error, wantReads int) {
		t.Helper()
		before := reads
		secrets, err := source()
		if joined(secrets) != want || !errors.Is(err, wantErr) || reads-before != wantReads {
			t.Errorf("%s: got %q, %v with %d reads, want %q, %v with %d", what, joined(secrets), err, reads-before, want, wantErr, wantReads)
		}
	}
	first, second := testSecret, strings.ToLower(testSecret)
	expect("no file yet", "", errSecretMissing, 1)
	write(t, path, "JWT_SECRET="+first, 0o600)
	expect("just written", first, nil, 1)
	expect("just written, again", first, nil, 1)
	write(t, path, "JWT_SECRET="+second, 0o600) // as long, and perhaps within one tick of the file system's clock
	expect("rotated at once", second, nil, 1)
	clock = clock.Add(time.Hour)
	expect("settled", second, nil, 1)
	expect("settled, again", second, nil, 0)

	old := clock.Add(-24 * time.Hour)
	write(t, path, "JWT_SECRET="+first, 0o600)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	expect("rotated", first, nil, 1)
	expect("rotated, again", first, nil, 0)

	other := write(t, path+".new", "JWT_SECRET="+second, 0o600)
	if err := os.Chtimes(other, old, old); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	expect("replaced by a file of the same size and time", second, nil, 1)

	again := func(change func() error) { // until the file system's clock has ticked
		t.Helper()
		before, err := stateOf(path)
		for now := before; err == nil && now.changed == before.changed; {
			if err = change(); err == nil {
				now, err = stateOf(path)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	again(func() error {
		write(t, path, "JWT_SECRET="+first, 0o600)
		return os.Chtimes(path, old, old)
	})
	expect("written in place, with the size and time that it had", first, nil, 1)

	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	expect("opened to others", "", errSecretExposed, 1)
	again(func() error { return os.Chmod(path, 0o600) })
	expect("closed again", first, nil, 1)
	write(t, path, "JWT_SECRET=devsecret", 0o600)
	expect("spoilt", "", errSecretDefault, 1)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect("removed", "", errSecretMissing, 1)
	expect("still removed", "", errSecretMissing, 1)
	write(t, path, "JWT_SECRET="+first, 0o600)
	expect("back", first, nil, 1)
}
