package edge

import (
	"strings"
)

// Place is the position of an inverter among those of one dongle: the one at Index of Of. The zero value is that of an inverter
// that is alone.
type Place struct{ Index, Of int }

// several reports whether there is more than one inverter.
func (p Place) several() bool { return p.Of > 1 }

// inList returns a setting in which only this inverter has a value.
func (p Place) inList(value string) string {
	if !p.several() {
		return value
	}
	return strings.Repeat(",", p.Index) + value + strings.Repeat(",", p.Of-1-p.Index)
}
