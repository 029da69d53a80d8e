package site

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/msupply-foundation/conforma-status/status/fault"
)

const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><rect width="1" height="1"/></svg>`

func TestBrandNamesEveryFault(t *testing.T) {
	for text, want := range map[string]string{
		"colour: red":                  `brand.yaml:1: colour: unknown key`,
		"name: 5":                      `brand.yaml:1: name: want text, found 5`,
		"accent: red":                  `brand.yaml:1: accent: "red" is not a colour`,
		"accent: #0b655e":              `brand.yaml:1: accent: is empty`,
		"accent: '#0b655'":             `brand.yaml:1: accent: "#0b655" is not a colour`,
		"accent: '#ff0000;}'":          `brand.yaml:1: accent: "#ff0000;}" is not a colour`,
		"accent: '#ffff00'":            `brand.yaml:1: accent: text in #ffff00 can't be read on this page: its contrast is 1.0, less than 4.5`,
		"accent_dark: '#000'":          `brand.yaml:1: accent_dark: text in #000 can't be read on this page: its contrast is 1.3, less than 4.5`,
		"font: '}body{color:red'":      `brand.yaml:1: font: is not a list of names of fonts`,
		"font: url(x)":                 `brand.yaml:1: font: is not a list of names of fonts`,
		"logo: logo.svg":               `brand.yaml:1: logo: has no name beside it, for readers who don't see pictures`,
		"name: N\nlogo: gone.svg":      `brand.yaml:2: logo: can't read "gone.svg"`,
		"name: N\nlogo: ../secret.svg": `brand.yaml:2: logo: can't read "../secret.svg"`,
		"name: N\nlogo: /etc/passwd":   `brand.yaml:2: logo: can't read "/etc/passwd"`,
		"name: N\nlogo: notes.txt":     `brand.yaml:2: logo: notes.txt is no picture that a page can hold`,
		"name: N\nlogo: huge.svg":      `brand.yaml:2: logo: huge.svg is 20000 bytes, at most 16384 fit: every visitor loads it`,
		"name: \"open":                 `brand.yaml:1: the file is not valid YAML: `,
		"- a":                          `brand.yaml:1: want lines of the form key: value`,
		"font: 1\nname: 2\naccent: 3":  "brand.yaml:1: font: want text, found 1\nbrand.yaml:2: name: want text, found 2\nbrand.yaml:3: accent: want text, found 3",
		"name: A\xff":                  `brand.yaml:1: is not UTF-8 text`,
	} {
		fsys := files("index.en.md", ok, "brand.yaml", text, "logo.svg", svg, "notes.txt", "x", "huge.svg", "<svg"+strings.Repeat(" ", 19996))
		_, err := LoadContent(fsys)
		var faults fault.List
		if !errors.As(err, &faults) || err.Error() != want && !(strings.HasSuffix(want, "YAML: ") && strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%q: got\n%v\nwant\n%s", text, err, want)
		}
		for _, f := range faults {
			if f.Hint == "" {
				t.Errorf("no hint for %v", f)
			}
		}
	}
}

func TestBrandOnThePage(t *testing.T) {
	text := "name: '<b>Conforma</b>'\naccent: '#a00'\nfont: Georgia, serif\n"
	page := pageOf(t, mustLoad(t, "index.en.md", ok, "brand.yaml", text), demo)
	for _, want := range []string{"<b>&lt;b&gt;Conforma&lt;/b&gt;</b> <bdi>demo.example.org:50000</bdi>", "--a:#aa0000", "html{font-family:Georgia, serif}"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	page = pageOf(t, mustLoad(t, "index.en.md", ok, "brand.yaml", "name: '\"><script>'\nlogo: logo.svg", "logo.svg", svg), demo)
	for _, want := range []string{`<img src="data:image/svg+xml;base64,PHN2`, `alt=""> <b>&#34;&gt;&lt;script&gt;</b>`, `<link rel="icon" href="data:image/svg+xml;base64,`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	// Beside a brand alone the built-in text serves; a file with comments only says nothing.
	c, err := LoadContent(fstest.MapFS{"brand.yaml": {Data: []byte("name: Alone")}})
	if err != nil || len(c.pages) != 4 || c.brand.name != "Alone" {
		t.Errorf("got %v, %v", c, err)
	}
	if c := mustLoad(t, "index.en.md", ok, "brand.yaml", "# name: No\n"); c.brand != (brand{}) {
		t.Errorf("got %+v", c.brand)
	}
}

// Whatever accent is asked for, the shade that is found for it can be read, and is the colour itself where that can be.
func FuzzReadable(f *testing.F) {
	f.Add(uint32(0xffff00))
	f.Add(uint32(0))
	f.Add(uint32(0x777777))
	f.Fuzz(func(t *testing.T, rgb uint32) {
		c := colour(fmt.Sprintf("#%06x", rgb&0xffffff))
		for _, surface := range []colour{lightSurface, darkSurface} {
			shade := c.readableOn(surface)
			if got := contrast(shade, surface); got < minContrast {
				t.Errorf("%s on %s comes to %s, with a contrast of %.2f", c, surface, shade, got)
			}
			if contrast(c, surface) >= minContrast && shade != c {
				t.Errorf("%s on %s comes to %s, and could be read", c, surface, shade)
			}
		}
	})
}
