// Package qrcode draws a text in a terminal or as a path of SVG, for a camera. It is the only door to rsc.io/qr.
package qrcode

import (
	"fmt"
	"os"
	"strings"

	"rsc.io/qr/coding"
)

// quiet is the width of the light border, in modules. The standard has four; cameras find it with two, and a link fits on the
// screen.
const quiet = 2

// Of returns text as lines of half blocks, two modules one above the other in each character. With colours it is black on
// white whatever the terminal is; without, or where NO_COLOR asks for none, its light modules are what a dark terminal shows
// as light.
func Of(text string, colours bool) (string, error) {
	code, err := encode(text)
	if err != nil {
		return "", err
	}
	colours = colours && os.Getenv("NO_COLOR") == ""
	var b strings.Builder
	light := func(x, y int) bool { return !code.Black(x, y) } // beside the code, too
	for y := -quiet; y < code.Size+quiet; y += 2 {
		if colours {
			b.WriteString("\x1b[97;40m") // light in bright white on black
		}
		for x := -quiet; x < code.Size+quiet; x++ {
			switch above, below := light(x, y), light(x, y+1) && y+1 < code.Size+quiet; {
			case above && below:
				b.WriteString("█")
			case above:
				b.WriteString("▀")
			case below:
				b.WriteString("▄")
			default:
				b.WriteString(" ")
			}
		}
		if colours {
			b.WriteString("\x1b[0m")
		}
		b.WriteString("\n")
	}
	return b.String(), nil
}

// Path is a code for a page: a square of Size modules, the light border included, and the path of what is dark in it, which SVG
// fills.
type Path struct {
	Size int    `json:"size"`
	D    string `json:"path"`
}

// PathOf returns text as a path.
func PathOf(text string) (Path, error) {
	code, err := encode(text)
	if err != nil {
		return Path{}, err
	}
	var b strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&b, "M%d %dh%dv1H%dz", from+quiet, y+quiet, x-from, from+quiet)
			}
		}
	}
	return Path{code.Size + 2*quiet, b.String()}, nil
}

// encode returns the smallest code that has text.
func encode(text string) (*coding.Code, error) {
	version := coding.Version(coding.MinVersion)
	for version < coding.MaxVersion && coding.String(text).Bits(version) > version.DataBytes(coding.L)*8 {
		version++
	}
	plan, err := coding.NewPlan(version, coding.L, 0)
	if err != nil {
		return nil, err
	}
	return plan.Encode(coding.String(text))
}
