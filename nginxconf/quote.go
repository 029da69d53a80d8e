package nginxconf

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxParameter is how much of one parameter nginx is given to read: it has to fit into its buffer of 4096 bytes
// (NGX_CONF_BUFFER), with what is read around it.
const maxParameter = 4000

var escapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// Quote returns s as one parameter of an nginx directive, in double quotes. It returns an error for what
// nginx has no safe way to write: a dollar sign, which begins a variable wherever a directive takes one
// and can't be escaped, control characters, bytes that aren't UTF-8, and what is too long. The rules are those of
// ngx_conf_read_token: inside quotes a backslash escapes a quote or a backslash.
func Quote(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", errors.New("not valid UTF-8")
	}
	for _, r := range s {
		if r == '$' {
			return "", errors.New("a dollar sign would be read as a variable")
		}
		if r < ' ' || r == 0x7f {
			return "", errors.New("a control character")
		}
	}
	quoted := `"` + escapes.Replace(s) + `"`
	if len(quoted) > maxParameter {
		return "", fmt.Errorf("longer than %d bytes", maxParameter)
	}
	return quoted, nil
}
