package operator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// directive is one directive of an nginx configuration, with the place where it stands. Our own reader, because the
// libraries don't say on which line the directives of a block stand, and file and line are what an operator needs.
type directive struct {
	name  string
	args  []string
	block []*directive // nil for a simple directive
	file  string
	line  int
}

func (d *directive) includes() bool { return d.name == "include" && len(d.args) == 1 }

func (d *directive) at() Place { return Place{d.file, d.line} }

// Place is where something stands in nginx's configuration.
type Place struct {
	File string
	Line int // 1-based
}

func (p Place) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// errSyntax is returned (wrapped) for a dump that can't be read as nginx's configuration.
var errSyntax = errors.New("not an nginx configuration")

// maxDepth bounds how deep blocks nest.
const maxDepth = 32

// parser reads one file after the other. A configuration has thousands of directives: they are made many at a time.
type parser struct {
	file string
	rest string
	line int

	made  []directive  // the next is the first that is not used yet
	args  []string     // of the directive that is being read, in what others' have left over
	stack []*directive // of the blocks that are being read, the outer ones first
}

func (p *parser) parse(name, text string) ([]*directive, error) {
	p.file, p.rest, p.line = name, text, 1
	return p.block(0)
}

func (p *parser) directive(name string, line int) *directive {
	if len(p.made) == 0 {
		p.made = make([]directive, 256)
	}
	if cap(p.args) < 4 { // most have no more
		p.args = make([]string, 0, 512)
	}
	d := &p.made[0]
	p.made = p.made[1:]
	d.name, d.file, d.line = name, p.file, line
	return d
}

func (p *parser) fail(why string) error {
	return fmt.Errorf("%w: %s:%d: %s", errSyntax, p.file, p.line, why)
}

// block reads directives up to the end of the file (depth 0) or the closing brace.
func (p *parser) block(depth int) ([]*directive, error) {
	if depth > maxDepth {
		return nil, p.fail("blocks nest too deep")
	}
	outer := len(p.stack)
	defer func() { p.stack = p.stack[:outer] }()
	var d *directive // that is being read, nil between two
	for {
		word, kind, line, err := p.token()
		switch {
		case err != nil:
			return nil, err
		case kind == tokenEnd && (d != nil || depth > 0):
			return nil, p.fail("the file ends in the middle")
		case kind == '}' && (d != nil || depth == 0):
			return nil, p.fail("a closing brace too many")
		case kind == tokenEnd, kind == '}':
			return append(make([]*directive, 0, len(p.stack)-outer), p.stack[outer:]...), nil
		case kind == tokenWord && d == nil:
			d = p.directive(word, line)
		case kind == tokenWord:
			p.args = append(p.args, word)
		case d == nil:
			return nil, p.fail("a directive without a name")
		default:
			if err := p.finish(d, kind == '{', depth); err != nil {
				return nil, err
			}
			p.stack, d = append(p.stack, d), nil
		}
	}
}

// finish ends a directive: it has its arguments, and may have a block.
func (p *parser) finish(d *directive, hasBlock bool, depth int) (err error) {
	d.args, p.args = slices.Clip(p.args), p.args[len(p.args):]
	switch {
	case !hasBlock:
	case strings.HasSuffix(d.name, "_by_lua_block"):
		d.block = []*directive{}
		err = p.skipLua()
	default:
		d.block, err = p.block(depth + 1)
	}
	return err
}

const (
	tokenEnd  = rune(0)
	tokenWord = rune('w')
)

// endsWord are the characters that end a word that isn't quoted.
var endsWord = [256]bool{' ': true, '\t': true, '\r': true, '\n': true, ';': true, '{': true}

// token reads the next token by the rules of ngx_conf_read_token.
func (p *parser) token() (word string, kind rune, line int, err error) {
	p.skipBlanksAndComments()
	line = p.line
	if p.rest == "" {
		return "", tokenEnd, line, nil
	}
	switch c := p.rest[0]; c {
	case ';', '{', '}':
		p.rest = p.rest[1:]
		return "", rune(c), line, nil
	case '"', '\'':
		word, err = p.quoted(c)
	default:
		word, err = p.plain()
	}
	return word, tokenWord, line, err
}

// plain reads a word that isn't quoted. What is escaped in it stays so.
func (p *parser) plain() (string, error) {
	i := 0
	for ; i < len(p.rest) && !endsWord[p.rest[i]]; i++ {
		switch {
		case p.rest[i] == '\\' && i+1 < len(p.rest):
			i++
		case strings.HasPrefix(p.rest[i:], "${"): // ${name} in a word is not a block
			end := strings.IndexByte(p.rest[i:], '}')
			if end < 0 {
				return "", p.fail("a variable's closing brace is missing")
			}
			i += end
		}
	}
	word := p.rest[:i]
	p.advance(i)
	return word, nil
}

func (p *parser) quoted(quote byte) (string, error) {
	ends := string([]byte{quote, '\\'})
	if n := strings.IndexAny(p.rest[1:], ends); n >= 0 && p.rest[1+n] == quote { // nothing in it is escaped
		word := p.rest[1 : 1+n]
		p.advance(n + 2)
		return word, nil
	}
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		n := strings.IndexAny(p.rest[i:], ends)
		if n < 0 {
			break
		}
		b.WriteString(p.rest[i : i+n])
		i += n
		c := p.rest[i]
		if c == '\\' && i+1 < len(p.rest) {
			next := p.rest[i+1]
			if next != '"' && next != '\'' && next != '\\' {
				b.WriteByte(c)
			}
			b.WriteByte(next)
			i++
			continue
		}
		if c == quote {
			p.advance(i + 1)
			return b.String(), nil
		}
		b.WriteByte(c)
	}
	return "", p.fail("a quote is not closed")
}

func (p *parser) skipBlanksAndComments() {
	for {
		i := 0
		for i < len(p.rest) && strings.IndexByte(" \t\r\n", p.rest[i]) >= 0 {
			i++
		}
		p.advance(i)
		if !strings.HasPrefix(p.rest, "#") {
			return
		}
		line, _, _ := strings.Cut(p.rest, "\n")
		p.rest = p.rest[len(line):]
	}
}

func (p *parser) advance(n int) {
	p.line += strings.Count(p.rest[:n], "\n")
	p.rest = p.rest[n:]
}
