// Package qrcode draws a text in a terminal, for a camera. It is the only door to rsc.io/qr.
package qrcode

import (
	"strings"

	"rsc.io/qr/coding"
)

// quiet is the width of the light border, in modules. The standard has four; cameras find it with two, and a link fits on the
// screen.
const quiet = 2

// Of returns text as lines of half blocks, two modules one above the other in each character. With colours it is black on
// white whatever the terminal is; without, its light modules are what a dark terminal shows as light.
func Of(text string, colours bool) (string, error) {
	version := coding.Version(coding.MinVersion)
	for version < coding.MaxVersion && coding.String(text).Bits(version) > version.DataBytes(coding.L)*8 {
		version++
	}
	plan, err := coding.NewPlan(version, coding.L, 0)
	if err != nil {
		return "", err
	}
	code, err := plan.Encode(coding.String(text))
	if err != nil {
		return "", err
	}
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
