package operator

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

// directives are those of the main file of a dump.
func directives(dump []byte) ([]*directive, error) {
	files, err := parseFiles(splitDump(string(dump)))
	if err != nil {
		return nil, err
	}
	return files.all()
}

// TestLuaCodeIsPassedOver has Lua code with a brace where none counts. nginx 1.22.1 with lua-nginx-module 0.10.23
// takes each of these, and refuses those below.
func TestLuaCodeIsPassedOver(t *testing.T) {
	for _, code := range []string{
		`if a then b{c = {}} end`,
		`ngx.say("}")`, `ngx.say('}')`, `ngx.say("{")`, `ngx.say('{', "}}")`, `ngx.say('"}', "'}")`, `ngx.say("")`,
		`ngx.say("\"}")`, `ngx.say('\'}')`, `ngx.say("\\") ngx.say("}\\")`,
		`-- unless {` + "\n", `-- }` + "\n", `--` + "\n", `---[[ }` + "\n", `--[= }` + "\n", `--=[ }` + "\n", `a = b - -c -- it's }` + "\n",
		`[[ } ]]`, `[=[ ]] } ]=]`, `[[ ]=] } ]]`, `[[[ } ]]`, `[==[ } ]=]==]`, `[=[=[ } ]=]`, `[[` + "\n}\n" + `"]]`,
		`--[[ } ]]`, `--[==[ } ]]` + "\n" + `} ]==]`, `--[[]]`,
		`a[b[1]]`, `a = {[1] = "}"}`, `[== `, `[=="}"`, `]] ]=]`,
		`it's`, `" `, `"` + "\n", `"\` + "\n" + `a`, // nobody's Lua, but nginx doesn't look at that
	} {
		ds, err := directives(dump("/n.conf", "a_by_lua_block {"+code+"}\nroot /a;"))
		if err != nil {
			t.Errorf("%s: %v", code, err)
			continue
		}
		if len(ds) != 2 || ds[1].name != "root" || ds[1].line != 2+strings.Count(code, "\n") {
			t.Errorf("%s: %d directives, the last is %s in line %d", code, len(ds), ds[len(ds)-1].name, ds[len(ds)-1].line)
		}
	}
	for _, code := range []string{`"}`, `-- `, `-- }`, `[[ `, `[[ } ]=]`, `--[=[ } ]]`, `{`, `"` + "\n}" + `"`, `"\` + "\n}" + `"`} {
		if _, err := directives(dump("/n.conf", "a_by_lua_block {"+code+"} root /a;")); !errors.Is(err, errSyntax) {
			t.Errorf("%s: is read: %v", code, err)
		}
	}
}

// luaTokens are those of lua-nginx-module's util/gen-lexer-c: the first that matches is taken.
var luaTokens = regexp.MustCompile(`[{}]|(?:--)?\[(=*)\[|\]=*\]|--[^\n]*|"(?:\\[^\n]|[^"\n\\])*"|'(?:\\[^\n]|[^'\n\\])*'`)

// luaEnd is the length of the code up to the brace that ends the block, that included, or -1: the slow and plain way.
func luaEnd(code string) int {
	open := 1
	for at := 0; ; {
		found := luaTokens.FindStringSubmatchIndex(code[at:])
		if found == nil {
			return -1
		}
		token, rest := code[at+found[0]:at+found[1]], code[at+found[1]:]
		switch {
		case token == "{":
			open++
		case token == "}":
			if open--; open == 0 {
				return at + found[1]
			}
		case found[2] >= 0:
			closing := "]" + code[at+found[2]:at+found[3]] + "]"
			n := strings.Index(rest, closing)
			if n < 0 {
				return -1
			}
			at += n + len(closing)
		}
		at += found[1]
	}
}

func FuzzLua(f *testing.F) {
	f.Add(`ngx.say("\"}", '\'}') [=[ ]] } ]=] --[==[ } ]==] -- }` + "\n" + `a[b[1]] = {} } root /a;`)
	f.Fuzz(func(t *testing.T, code string) {
		p := &parser{rest: code}
		err := p.skipLua()
		want := luaEnd(code)
		if got := len(code) - len(p.rest); (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q ends after %d bytes (%v), want %d", code, got, err, want)
		}
	})
}
