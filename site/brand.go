package site

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"regexp"
	"strconv"

	"github.com/goccy/go-yaml/ast"

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

// colour is a CSS colour #rrggbb, or "".
type colour string

var (
	hexColour = regexp.MustCompile(`^#([0-9a-fA-F]{6}|[0-9a-fA-F]{3})$`)
	fontList  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9 -]*(, *[A-Za-z][A-Za-z0-9 -]*)*$`)
)

// The surfaces of page.css that text in the accent's colour stands on and that are nearest to it.
const (
	lightSurface colour = "#f3f6f5"
	darkSurface  colour = "#172221"
	// minContrast is what WCAG 2.2 asks for text (1.4.3, level AA).
	minContrast = 4.5
)

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
		r := &matterReader{file: path.Join(l.name, brandFile)}
		text, wrong := decode(r.file, data)
		if len(wrong) > 0 {
			faults = append(faults, wrong...)
			continue
		}
		if root, ok := r.parse(text, "the file"); ok && root != nil {
			b.fields(r, root, l)
		}
		faults = append(faults, r.faults...)
	}
	return found, faults, nil
}

func (b *brand) fields(r *matterReader, root ast.Node, l layer) {
	var logo ast.Node
	r.mapping(root, "", []string{"name", "logo", "accent", "accent_dark", "font"}, func(key string, v ast.Node) {
		switch key {
		case "name":
			b.name = r.text(v, key)
		case "logo":
			logo = v
			b.logo = r.logo(v, l)
		case "accent":
			b.accent = r.colour(v, key, lightSurface)
		case "accent_dark":
			b.dark = r.colour(v, key, darkSurface)
		case "font":
			if b.font = r.text(v, key); b.font != "" && !fontList.MatchString(b.font) {
				r.fault(r.lineOf(v), key, "is not a list of names of fonts", "for example: font: Georgia, serif")
			}
		}
	})
	if logo != nil && b.name == "" {
		r.fault(r.lineOf(logo), "logo", "has no name beside it, for readers who don't see pictures", "add a line such as name: Conforma")
	}
}

// logo reads a picture beside the file.
func (r *matterReader) logo(n ast.Node, l layer) string {
	file := r.text(n, "logo")
	if file == "" {
		return ""
	}
	fault := func(problem, hint string) string {
		r.fault(r.lineOf(n), "logo", problem, hint)
		return ""
	}
	data, err := []byte(nil), fs.ErrInvalid
	if fs.ValidPath(file) {
		data, err = fs.ReadFile(l, file)
	}
	switch {
	case err != nil:
		return fault(fmt.Sprintf("can't read %q", file), "name a file beside "+brandFile)
	case len(data) > maxLogo:
		return fault(fmt.Sprintf("%s is %d bytes, at most %d fit: every visitor loads it", file, len(data), maxLogo), "make it simpler or smaller; SVG is smallest")
	}
	kind := ""
	switch {
	case path.Ext(file) == ".svg" && bytes.Contains(data, []byte("<svg")):
		kind = "svg+xml"
	case bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")):
		kind = "png"
	case bytes.HasPrefix(data, []byte("RIFF")) && len(data) > 12 && string(data[8:12]) == "WEBP":
		kind = "webp"
	default:
		return fault(file+" is no picture that a page can hold", "use SVG, PNG or WebP")
	}
	return "data:image/" + kind + ";base64," + base64.StdEncoding.EncodeToString(data)
}

// colour reads a colour that can be read on a surface.
func (r *matterReader) colour(n ast.Node, key string, surface colour) colour {
	if _, ok := n.(*ast.NullNode); ok || n == nil {
		r.fault(r.lineOf(n), key, "is empty", "put the colour in quotes, # begins a comment: \"#0b655e\"")
		return ""
	}
	text := r.text(n, key)
	if text == "" {
		return ""
	}
	if !hexColour.MatchString(text) {
		r.fault(r.lineOf(n), key, fmt.Sprintf("%q is not a colour", text), "write it as \"#0b655e\"")
		return ""
	}
	c := colour(text)
	if len(text) == 4 {
		c = colour([]byte{'#', text[1], text[1], text[2], text[2], text[3], text[3]})
	}
	if got := contrast(c, surface); got < minContrast {
		r.fault(r.lineOf(n), key, fmt.Sprintf("text in %s can't be read on this page: its contrast is %.1f, less than %.1f", text, got, minContrast),
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

// channels returns red, green and blue, from 0 to 1.
func (c colour) channels() [3]float64 {
	var out [3]float64
	for i := range out {
		v, _ := strconv.ParseUint(string(c[1+2*i:3+2*i]), 16, 8) // its form was checked
		out[i] = float64(v) / 255
	}
	return out
}

// luminance is the relative luminance of WCAG 2.2.
func (c colour) luminance() float64 {
	sum := 0.0
	for i, v := range c.channels() {
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += v * [3]float64{0.2126, 0.7152, 0.0722}[i]
	}
	return sum
}

// contrast is the contrast ratio of WCAG 2.2, from 1 to 21.
func contrast(a, b colour) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// readableOn is the shade nearest to c, towards black or white, that can be read on a surface.
func (c colour) readableOn(surface colour) colour {
	end := 0.0
	if surface.luminance() < 0.18 { // there white contrasts more than black does
		end = 1
	}
	for step := 0.0; ; step += 0.02 {
		mixed := "#"
		for _, v := range c.channels() {
			mixed += fmt.Sprintf("%02x", int(math.Round(255*(v+(end-v)*step))))
		}
		if step >= 1 || contrast(colour(mixed), surface) >= minContrast {
			return colour(mixed)
		}
	}
}
