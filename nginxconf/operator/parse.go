package operator

import (
	"errors"
	"fmt"
	"path/filepath"
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

// ErrSyntax is returned (wrapped) for a dump that can't be read as nginx's configuration.
var ErrSyntax = errors.New("not an nginx configuration")

// dumpHeader begins the line that stands before each file in what nginx -T prints; a colon ends it.
const dumpHeader = "# configuration file "

// dumped is one file of a dump.
type dumped struct{ name, text string }

func splitDump(text string) []dumped {
	var out []dumped
	start := 0 // of what belongs to the last file
	for at := 0; at < len(text); {
		i := strings.Index(text[at:], dumpHeader)
		if i < 0 {
			break
		}
		at += i
		line, _, _ := strings.Cut(text[at:], "\n")
		name, ended := strings.CutSuffix(line[len(dumpHeader):], ":")
		if name == "" || !ended || at > 0 && text[at-1] != '\n' {
			at += len(dumpHeader)
			continue
		}
		if len(out) > 0 {
			out[len(out)-1].text = text[start:at]
		}
		at += len(line)
		start = min(at+1, len(text))
		out = append(out, dumped{name, text[start:]})
	}
	return out
}

// parseDump reads what nginx -T prints: each file after a line with its name, the main file first. Includes
// are resolved to the files that follow: an include directive stands before what each file brought in, with the
// file's name as its argument.
func parseDump(dump []byte) ([]*directive, error) {
	c, err := parseFiles(splitDump(string(dump)))
	if err != nil {
		return nil, err
	}
	return c.all()
}

// all are the directives of the main file with those that it includes. It is an error for a file to be left: nginx has read it, so
// somewhere is an include that means something else to nginx than to us.
func (c *conf) all() ([]*directive, error) {
	ds, err := c.whole(c.names[0])
	if err != nil {
		return nil, err
	}
	for _, name := range c.names {
		if !c.files[name].done {
			return nil, fmt.Errorf("%w: nginx reads %s, and which directive includes it can't be told", ErrSyntax, name)
		}
	}
	return ds, nil
}

// parseFiles reads the files of a dump, each by itself.
func parseFiles(split []dumped) (*conf, error) {
	if len(split) == 0 {
		return nil, fmt.Errorf("%w: no file in it", ErrSyntax)
	}
	c := &conf{files: map[string]*confFile{}, prefix: filepath.Dir(filepath.Clean(split[0].name))}
	p := &confParser{}
	for _, f := range split {
		ds, err := p.parse(f)
		if err != nil {
			return nil, err
		}
		name := filepath.Clean(f.name)
		c.files[name] = &confFile{ds: ds}
		c.names = append(c.names, name)
	}
	return c, nil
}

// maxDepth bounds how deep blocks nest.
const maxDepth = 32

// conf is the files of a configuration, each of which may include others.
type conf struct {
	files  map[string]*confFile
	names  []string // of the files, in the order of the dump
	prefix string   // relative names are relative to it
}

type confFile struct {
	ds   []*directive
	open bool // its includes are being put in
	done bool // they are in
}

// whole are the directives of a file with those that it includes.
func (c *conf) whole(name string) ([]*directive, error) {
	f := c.files[name]
	if f.open {
		return nil, fmt.Errorf("%w: %s includes itself", ErrSyntax, name)
	}
	if f.done {
		return f.ds, nil
	}
	var err error
	f.open = true
	f.ds, err = c.resolve(f.ds)
	f.open, f.done = false, true
	return f.ds, err
}

func (c *conf) resolve(ds []*directive) ([]*directive, error) {
	includes := false
	for _, d := range ds {
		var err error
		if d.block, err = c.resolve(d.block); err != nil {
			return nil, err
		}
		includes = includes || d.includes()
	}
	if !includes {
		return ds, nil
	}
	out := make([]*directive, 0, len(ds)) // never nil: what has a block keeps it
	for _, d := range ds {
		if !d.includes() {
			out = append(out, d)
			continue
		}
		pattern := d.args[0]
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(c.prefix, pattern)
		}
		pattern = strings.ReplaceAll(filepath.Clean(pattern), "[!", "[^") // glob(3) has both, package filepath one
		for _, name := range c.names {
			ok := pattern == name
			if !ok && strings.ContainsAny(pattern, `*?[\`) {
				ok, _ = filepath.Match(pattern, name)
			}
			if ok {
				inner, err := c.whole(name)
				if err != nil {
					return nil, err
				}
				out = append(out, &directive{name: "include", args: []string{name}, file: d.file, line: d.line})
				out = append(out, inner...)
			}
		}
	}
	return out, nil
}

func (d *directive) includes() bool { return d.name == "include" && len(d.args) == 1 }

// confParser reads one file after the other. A configuration has thousands of directives: they are made many at a time.
type confParser struct {
	file string
	rest string
	line int

	made  []directive  // the next is the first that is not used yet
	args  []string     // of the directive that is being read, in what others' have left over
	stack []*directive // of the blocks that are being read, the outer ones first
}

func (p *confParser) parse(f dumped) ([]*directive, error) {
	p.file, p.rest, p.line = f.name, f.text, 1
	return p.block(0)
}

func (p *confParser) directive(name string, line int) *directive {
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

func (p *confParser) fail(why string) error {
	return fmt.Errorf("%w: %s:%d: %s", ErrSyntax, p.file, p.line, why)
}

// block reads directives up to the end of the file (depth 0) or the closing brace.
func (p *confParser) block(depth int) ([]*directive, error) {
	if depth > maxDepth {
		return nil, p.fail("blocks nest too deep")
	}
	outer := len(p.stack)
	defer func() { p.stack = p.stack[:outer] }()
	ended := func() []*directive { return append(make([]*directive, 0, len(p.stack)-outer), p.stack[outer:]...) }
	var d *directive
	for {
		word, kind, line, err := p.token()
		if err != nil {
			return nil, err
		}
		switch kind {
		case tokenEnd:
			if d != nil || depth > 0 {
				return nil, p.fail("the file ends in the middle")
			}
			return ended(), nil
		case '}':
			if d != nil || depth == 0 {
				return nil, p.fail("a closing brace too many")
			}
			return ended(), nil
		case ';', '{':
			if d == nil {
				return nil, p.fail("a directive without a name")
			}
			d.args, p.args = slices.Clip(p.args), p.args[len(p.args):]
			if kind == '{' {
				if strings.HasSuffix(d.name, "_by_lua_block") {
					err = p.skipLua()
					d.block = []*directive{}
				} else {
					d.block, err = p.block(depth + 1)
				}
				if err != nil {
					return nil, err
				}
			}
			p.stack, d = append(p.stack, d), nil
		default:
			if d == nil {
				d = p.directive(word, line)
			} else {
				p.args = append(p.args, word)
			}
		}
	}
}

const (
	tokenEnd  = rune(0)
	tokenWord = rune('w')
)

// endsWord are the characters that end a word that isn't quoted.
var endsWord = [256]bool{' ': true, '\t': true, '\r': true, '\n': true, ';': true, '{': true}

// token reads the next token by the rules of ngx_conf_read_token.
func (p *confParser) token() (word string, kind rune, line int, err error) {
	for {
		p.rest = p.skipBlank()
		if !strings.HasPrefix(p.rest, "#") {
			break
		}
		i := strings.IndexByte(p.rest, '\n')
		if i < 0 {
			i = len(p.rest)
		}
		p.rest = p.rest[i:]
	}
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
		return word, tokenWord, line, err
	}
	i := 0
	for ; i < len(p.rest); i++ {
		c := p.rest[i]
		if c == '\\' && i+1 < len(p.rest) {
			i++
			continue
		}
		if c == '$' && strings.HasPrefix(p.rest[i:], "${") { // ${name} in a word is not a block
			end := strings.IndexByte(p.rest[i:], '}')
			if end < 0 {
				return "", 0, line, p.fail("a variable's closing brace is missing")
			}
			i += end
			continue
		}
		if endsWord[c] {
			break
		}
	}
	word = p.rest[:i]
	p.advance(i)
	return word, tokenWord, line, nil
}

func (p *confParser) quoted(quote byte) (string, error) {
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

func (p *confParser) skipBlank() string {
	i := 0
	for i < len(p.rest) && strings.IndexByte(" \t\r\n", p.rest[i]) >= 0 {
		i++
	}
	p.advance(i)
	return p.rest
}

func (p *confParser) advance(n int) {
	p.line += strings.Count(p.rest[:n], "\n")
	p.rest = p.rest[n:]
}
