package operator

import "strings"

// skipLua passes over the code of a *_by_lua_block, whose braces balance but for those in strings, long brackets and
// comments: the tokens are those of lua-nginx-module's ngx_http_lua_lex (its util/gen-lexer-c).
func (p *parser) skipLua() error {
	open := 1
	for i := 0; i < len(p.rest); i++ {
		switch p.rest[i] {
		case '{':
			open++
		case '}':
			if open--; open == 0 {
				p.advance(i + 1)
				return nil
			}
		case '"', '\'':
			i += luaString(p.rest[i:]) - 1
		case '[':
			i += max(longBracket(p.rest[i:]), 1) - 1
		case '-':
			i += luaComment(p.rest[i:]) - 1
		}
	}
	return p.fail("a block is not closed")
}

// luaString is the length of the string that code begins with. A quote that is not closed in its line stands for
// itself.
func luaString(code string) int {
	for i := 1; i < len(code) && code[i] != '\n'; i++ {
		switch code[i] {
		case code[0]:
			return i + 1
		case '\\':
			if i+1 < len(code) && code[i+1] != '\n' {
				i++
				continue
			}
			return 1
		}
	}
	return 1
}

// longBracket is the length of the long bracket, of any level, that code begins with: all of it where that is not
// closed, 0 where there is none.
func longBracket(code string) int {
	rest, ok := strings.CutPrefix(code, "[")
	opening := strings.TrimLeft(rest, "=")
	if !ok || !strings.HasPrefix(opening, "[") {
		return 0
	}
	closing := "]" + rest[:len(rest)-len(opening)] + "]"
	n := strings.Index(opening[1:], closing)
	if n < 0 {
		return len(code)
	}
	return len(code) - len(opening) + 1 + n + len(closing)
}

// luaComment is the length of the comment that code begins with, or 1 where its minus begins none.
func luaComment(code string) int {
	rest, ok := strings.CutPrefix(code, "--")
	if !ok {
		return 1
	}
	if n := longBracket(rest); n > 0 {
		return 2 + n
	}
	line, _, _ := strings.Cut(code, "\n")
	return len(line)
}
