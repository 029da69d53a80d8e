package site

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
)

// colour is a CSS colour #rrggbb, or "".
type colour string

var hexColour = regexp.MustCompile(`^#([0-9a-fA-F]{6}|[0-9a-fA-F]{3})$`)

// The surfaces of page.css that text in the accent's colour stands on and that are nearest to it.
const (
	lightSurface colour = "#f3f6f5"
	darkSurface  colour = "#172221"
	// minContrast is what WCAG 2.2 asks for text (1.4.3, level AA).
	minContrast = 4.5
)

// parseColour returns the colour that is written as #rgb or #rrggbb, and whether it is one.
func parseColour(text string) (colour, bool) {
	if !hexColour.MatchString(text) {
		return "", false
	}
	if len(text) == 4 {
		return colour([]byte{'#', text[1], text[1], text[2], text[2], text[3], text[3]}), true
	}
	return colour(text), true
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
