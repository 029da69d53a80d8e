package site

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/msupply-foundation/conforma-status/status/fault"
)

// yamlFile is a file of YAML, or the YAML at the top of one. The library parses it, but its decoder is not used: it
// stops at the first fault and takes a number for a text. People are to see all faults in one run.
type yamlFile struct {
	name   string
	above  int // lines of the file above the YAML
	faults fault.List
}

func (f *yamlFile) fault(line int, key, problem, hint string) {
	f.faults = append(f.faults, fault.Fault{File: f.name, Line: line, Key: key, Problem: problem, Hint: hint})
}

// lineOf returns the line of n in the file.
func (f *yamlFile) lineOf(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 1
	}
	return n.GetToken().Position.Line + f.above
}

// parse returns the root of the YAML, nil where there is nothing but comments; what says what the text is.
func (f *yamlFile) parse(text, what string) (root ast.Node, ok bool) {
	// Keys that come twice are let through here and found below, where the line is known.
	tree, err := parser.ParseBytes([]byte(text), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		line, problem := max(1, f.above), err.Error()
		if at, is := errors.AsType[yaml.Error](err); is {
			problem = at.GetMessage()
			if t := at.GetToken(); t != nil && t.Position != nil {
				line = t.Position.Line + f.above
			}
		}
		f.fault(line, "", what+" is not valid YAML: "+problem,
			"put a text with special characters in \"quotes\", and don't indent with tabs")
		return nil, false
	}
	for _, doc := range tree.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			f.fault(f.lineOf(doc.Body), "", what+" is more than one YAML document", "remove the line of dots")
			return nil, false
		}
		root = doc.Body
	}
	if _, comments := root.(*ast.CommentGroupNode); comments {
		root = nil
	}
	return root, true
}

// mapping is one mapping of the file, with the known keys that are in it.
type mapping struct {
	file   *yamlFile
	name   string // before its keys in faults: "links."
	line   int
	values map[string]ast.Node
}

// mapping returns the mapping n, and false where n is none. It reports the keys that are not known or come twice.
func (f *yamlFile) mapping(n ast.Node, name string, known ...string) (*mapping, bool) {
	m := &mapping{file: f, name: name, line: f.lineOf(n), values: map[string]ast.Node{}}
	var pairs []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		f.fault(m.line, strings.TrimSuffix(name, "."), "want lines of the form key: value", "the keys are "+strings.Join(known, ", "))
		return m, false
	}
	for _, pair := range pairs {
		key := pair.Key.String()
		if s, ok := pair.Key.(*ast.StringNode); ok {
			key = s.Value
		}
		switch line := f.lineOf(pair.Key); {
		case !slices.Contains(known, key):
			f.fault(line, name+key, "unknown key", "the keys are "+strings.Join(known, ", "))
		case m.has(key):
			f.fault(line, name+key, "comes twice", "keep one of the two")
		default:
			m.values[key] = pair.Value
		}
	}
	return m, true
}

func (m *mapping) has(key string) bool { _, ok := m.values[key]; return ok }

// fault reports what is wrong with the value of key, or that it is missing.
func (m *mapping) fault(key, problem, hint string) {
	line := m.line
	if v, ok := m.values[key]; ok {
		line = m.file.lineOf(v)
	}
	m.file.fault(line, m.name+key, problem, hint)
}

// isEmpty reports whether nothing stands behind key.
func (m *mapping) isEmpty(key string) bool {
	_, null := m.values[key].(*ast.NullNode)
	return null || m.values[key] == nil
}

// text returns the text of key on one line, "" where it isn't there, or after a fault.
func (m *mapping) text(key string) string {
	if !m.has(key) {
		return ""
	}
	const hintEmpty = "write a text behind it, or remove the line"
	var s string
	switch n := m.values[key].(type) {
	case *ast.StringNode:
		s = n.Value
	case *ast.LiteralNode:
		s = n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		m.fault(key, fmt.Sprintf("want text, found %s", n.GetToken().Value), "put it in quotes")
		return ""
	case nil, *ast.NullNode:
		m.fault(key, "is empty", hintEmpty)
		return ""
	default:
		m.fault(key, "want text", "write it on one line, in quotes")
		return ""
	}
	// A no-break space stays: French has one before a colon.
	s = strings.Join(strings.FieldsFunc(s, func(c rune) bool { return c < utf8.RuneSelf && unicode.IsSpace(c) }), " ")
	if s == "" {
		m.fault(key, "is empty", hintEmpty)
	}
	return s
}

// flag returns the truth of key, false where it isn't there, or after a fault.
func (m *mapping) flag(key string) bool {
	b, ok := m.values[key].(*ast.BoolNode)
	if !ok && m.has(key) {
		m.fault(key, "want true or false", "write true, or remove the line")
	}
	return ok && b.Value
}

// sub returns the mapping at key, an empty one where there is none, or after a fault.
func (m *mapping) sub(key string, known ...string) *mapping {
	if !m.has(key) {
		return &mapping{file: m.file}
	}
	below, _ := m.file.mapping(m.values[key], m.name+key+".", known...)
	return below
}

// list returns the elements of the list at key, none where it isn't there, or after a fault with the hint.
func (m *mapping) list(key, hint string) []ast.Node {
	list, ok := m.values[key].(*ast.SequenceNode)
	if !ok {
		if m.has(key) {
			m.fault(key, "want a list", hint)
		}
		return nil
	}
	return list.Values
}
