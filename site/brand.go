package site

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"

	"github.com/msupply-foundation/conforma-status/status/fault"
)

// brandFile is the file beside the Markdown that says what all pages share.
const brandFile = "brand.yaml"

// maxLogo is the size, in bytes, up to which a logo is put into each page.
const maxLogo = 16 << 10

// brand is what all pages of a site share. Every field may be empty.
type brand struct {
	name         string
	logo         string // a data: URL
	accent, dark colour // of links and the button, on a light page and on a dark one
	font         string // a CSS font-family
}

var fontList = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9 -]*(, *[A-Za-z][A-Za-z0-9 -]*)*$`)

// read takes what the layers say of the brand, each over the one before it; found reports whether any does.
func (b *brand) read(layers []layer) (found bool, faults fault.List, err error) {
	for _, l := range layers {
		data, err := fs.ReadFile(l, brandFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, nil, err
		}
		found = true
		faults = append(faults, b.readLayer(l, data)...)
	}
	return found, faults, nil
}

func (b *brand) readLayer(l layer, data []byte) fault.List {
	f := &yamlFile{name: path.Join(l.name, brandFile)}
	text, wrong := decode(f.name, data)
	if len(wrong) > 0 {
		return wrong
	}
	root, ok := f.parse(text, "the file")
	if !ok || root == nil {
		return f.faults
	}
	m, _ := f.mapping(root, "", "name", "logo", "accent", "accent_dark", "font")
	if m.has("name") {
		b.name = m.text("name")
	}
	if m.has("logo") {
		b.logo = m.logo("logo", l)
		if b.name == "" {
			m.fault("logo", "has no name beside it, for readers who don't see pictures", "add a line such as name: Conforma")
		}
	}
	if m.has("accent") {
		b.accent = m.colour("accent", lightSurface)
	}
	if m.has("accent_dark") {
		b.dark = m.colour("accent_dark", darkSurface)
	}
	if m.has("font") {
		if b.font = m.text("font"); b.font != "" && !fontList.MatchString(b.font) {
			m.fault("font", "is not a list of names of fonts", "for example: font: Georgia, serif")
		}
	}
	return f.faults
}

// logo reads a picture beside the file, and returns it as a data: URL.
func (m *mapping) logo(key string, l layer) string {
	file := m.text(key)
	if file == "" {
		return ""
	}
	data, err := []byte(nil), fs.ErrInvalid
	if fs.ValidPath(file) {
		data, err = fs.ReadFile(l, file)
	}
	kind := ""
	switch {
	case err != nil:
		m.fault(key, fmt.Sprintf("can't read %q", file), "name a file beside "+brandFile)
		return ""
	case len(data) > maxLogo:
		m.fault(key, fmt.Sprintf("%s is %d bytes, at most %d fit: every visitor loads it", file, len(data), maxLogo),
			"make it simpler or smaller; SVG is smallest")
		return ""
	case path.Ext(file) == ".svg" && bytes.Contains(data, []byte("<svg")):
		kind = "svg+xml"
	case bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")):
		kind = "png"
	case bytes.HasPrefix(data, []byte("RIFF")) && len(data) > 12 && string(data[8:12]) == "WEBP":
		kind = "webp"
	default:
		m.fault(key, file+" is no picture that a page can hold", "use SVG, PNG or WebP")
		return ""
	}
	return "data:image/" + kind + ";base64," + base64.StdEncoding.EncodeToString(data)
}

// colour reads a colour that can be read on a surface.
func (m *mapping) colour(key string, surface colour) colour {
	if m.isEmpty(key) {
		m.fault(key, "is empty", "put the colour in quotes, # begins a comment: \"#0b655e\"")
		return ""
	}
	text := m.text(key)
	if text == "" {
		return ""
	}
	c, ok := parseColour(text)
	if !ok {
		m.fault(key, fmt.Sprintf("%q is not a colour", text), "write it as \"#0b655e\"")
		return ""
	}
	if got := contrast(c, surface); got < minContrast {
		m.fault(key, fmt.Sprintf("text in %s can't be read on this page: its contrast is %.1f, less than %.1f", text, got, minContrast),
			fmt.Sprintf("%q will do", c.readableOn(surface)))
	}
	return c
}

// css is what page.css is followed by.
func (b brand) css() string {
	out := ""
	if b.accent != "" {
		out += "@media screen{:root{--a:" + string(b.accent) + ";--o:#fff;--u:var(--g)}}"
	}
	dark := b.dark
	if dark == "" && b.accent != "" {
		dark = b.accent.readableOn(darkSurface)
	}
	if dark != "" {
		out += "@media screen and (prefers-color-scheme:dark){:root{--a:" + string(dark) + ";--o:#0c1b19;--u:var(--g)}}"
	}
	if b.font != "" {
		out += "html{font-family:" + b.font + "}"
	}
	return out
}
