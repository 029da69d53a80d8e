package nginxconf

import (
	"embed"
	"errors"
	"fmt"
	"strings"
)

// The rules, with words in braces where values go. Plain replacement, because a template package would keep
// the linker from dropping the unused operations of the S3 client: a third of the binary.
//
//go:embed rules
var rules embed.FS

// rule is the text of one of their files.
func rule(name string) string {
	text, err := rules.ReadFile("rules/" + name + ".conf")
	if err != nil {
		panic("nginxconf: " + err.Error())
	}
	return string(text)
}

// ruleIf is the text of one where it is to be there, else "".
func ruleIf(wanted bool, name string) string {
	if !wanted {
		return ""
	}
	return rule(name)
}

// values collects what is put in place of the words in braces, each in nginx's quotes.
type values struct {
	pairs []string
	err   error
}

func (v *values) quoted(word, value string) {
	text, err := Quote(value)
	if err != nil {
		v.err = errors.Join(v.err, fmt.Errorf("write %q into nginx's configuration: %w", value, err))
	}
	v.plain(word, text)
}

// quote is Quote, with its error added.
func (v *values) quote(value string) string {
	text, err := Quote(value)
	v.fail(err)
	return text
}

// fail adds an error, nil for none.
func (v *values) fail(err error) { v.err = errors.Join(v.err, err) }

func (v *values) plain(word, text string) { v.pairs = append(v.pairs, "{"+word+"}", text) }

// fill replaces in one pass: what a value holds is not looked at again.
func (v *values) fill(text string) ([]byte, error) {
	if v.err != nil {
		return nil, v.err
	}
	return []byte(strings.NewReplacer(v.pairs...).Replace(text)), nil
}
