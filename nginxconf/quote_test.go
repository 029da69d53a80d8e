package nginxconf

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestQuote(t *testing.T) {
	for _, c := range []struct{ s, want string }{
		{``, `""`},
		{`plain`, `"plain"`},
		{`a b`, `"a b"`},
		{`a;b{c}d#e(f)`, `"a;b{c}d#e(f)"`},
		{`say "no"`, `"say \"no\""`},
		{`it's`, `"it's"`},
		{`C:\temp\new`, `"C:\\temp\\new"`},
		{`\`, `"\\"`},
		{`\"`, `"\\\""`},
		{`\\`, `"\\\\"`},
		{`"; return 200; "`, `"\"; return 200; \""`},
		{`ünï 🛠`, `"ünï 🛠"`},
		{strings.Repeat("a", maxParameter-2), `"` + strings.Repeat("a", maxParameter-2) + `"`},
	} {
		if got, err := Quote(c.s); err != nil || got != c.want {
			t.Errorf("Quote(%q) = %s, %v; want %s", c.s, got, err, c.want)
		}
	}
	for _, c := range []struct{ s, why string }{
		{`$host`, "a dollar sign would be read as a variable"},
		{`a$`, "a dollar sign would be read as a variable"},
		{`\$`, "a dollar sign would be read as a variable"},
		{`${x}`, "a dollar sign would be read as a variable"},
		{"a\nb", "a control character"},
		{"a\r", "a control character"},
		{"a\tb", "a control character"},
		{"\x00", "a control character"},
		{"\x7f", "a control character"},
		{"\xff", "not valid UTF-8"},
		{"caf\xe9", "not valid UTF-8"},
		{strings.Repeat("a", maxParameter-1), "longer than 4000 bytes"},
		{strings.Repeat(`"`, maxParameter/2), "longer than 4000 bytes"},
	} {
		if got, err := Quote(c.s); err == nil || err.Error() != c.why || got != "" {
			t.Errorf("Quote(%.20q) = %q, %v; want nothing and %q", c.s, got, err, c.why)
		}
	}
}

// What Quote returns is one parameter and has the value it was made from, wherever it stands; and what it refuses, it
// refuses for a reason.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{``, `a`, `\`, `\\`, `"`, `\"`, `"\`, `';{}#()`, `a\n`, `\t\r\n`, `$`, "\n", "\xff", `" ; x "`, `é\é`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quoted, err := Quote(s)
		if err != nil {
			if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r == '$' || r < ' ' || r == 0x7f }) && len(s) < maxParameter/2 {
				t.Fatalf("%q is refused: %v", s, err)
			}
			return
		}
		if strings.Contains(quoted, "$") || len(quoted) > maxParameter {
			t.Fatalf("%q is written as %s", s, quoted)
		}
		for _, c := range []struct {
			before, after string
			want          []string
			end           byte
		}{
			{"return 200 ", ";", []string{"return", "200", s}, ';'},
			{"\nif (-f ", ") {", []string{"if", "(-f", s, ")"}, '{'},
			{"server ", " max_fails=0 ; # ", []string{"server", s, "max_fails=0"}, ';'},
		} {
			args, end, err := readDirective(c.before + quoted + c.after)
			if err != nil || end != c.end || !slices.Equal(args, c.want) {
				t.Fatalf("nginx reads %s%s%s as %q, ended by %q (%v)", c.before, quoted, c.after, args, end, err)
			}
		}
	})
}

// readDirective reads one directive as nginx's ngx_conf_read_token does: its words, and the character that ends it.
func readDirective(text string) (words []string, end byte, err error) {
	const (
		between = iota // white space, or the start of a word
		inWord
		inQuotes
		afterQuotes // where only white space, ";", "{" or ")" may stand
	)
	state, start, quote := between, 0, byte(0)
	escaped, variable, comment := false, false, false
	for i := 0; i < len(text); i++ {
		c := text[i]
		space := c == ' ' || c == '\t' || c == '\r' || c == '\n'
		if comment {
			comment = c != '\n'
			continue
		}
		if escaped {
			escaped = false
			continue
		}
		if state == afterQuotes {
			switch {
			case space:
				state = between
				continue
			case c == ';' || c == '{':
				return words, c, nil
			case c != ')':
				return nil, 0, errors.New("unexpected " + string(c) + " after quotes")
			}
			state = between
		}
		switch state {
		case between:
			start = i
			switch {
			case space:
			case c == ';' || c == '{':
				if len(words) == 0 {
					return nil, 0, errors.New("unexpected " + string(c))
				}
				return words, c, nil
			case c == '}':
				return nil, 0, errors.New("unexpected }")
			case c == '#':
				comment = true
			case c == '"' || c == '\'':
				state, quote, start = inQuotes, c, i+1
			default:
				state, escaped, variable = inWord, c == '\\', c == '$'
			}
			continue
		case inWord, inQuotes:
			if c == '{' && variable { // "${name}"
				continue
			}
			variable = c == '$'
			if c == '\\' {
				escaped = true
				continue
			}
		}
		switch {
		case state == inQuotes && c == quote:
			words = append(words, unescape(text[start:i]))
			state = afterQuotes
		case state == inWord && (space || c == ';' || c == '{'):
			words = append(words, unescape(text[start:i]))
			if !space {
				return words, c, nil
			}
			state = between
		}
	}
	return nil, 0, errors.New("unexpected end")
}

// unescape is what nginx does to a word when it copies it: other backslashes stay.
func unescape(word string) string {
	var b strings.Builder
	for i := 0; i < len(word); i++ {
		if word[i] == '\\' && i+1 < len(word) {
			if at := strings.IndexByte(`"'\trn`, word[i+1]); at >= 0 {
				b.WriteByte("\"'\\\t\r\n"[at])
				i++
				continue
			}
		}
		b.WriteByte(word[i])
	}
	return b.String()
}
