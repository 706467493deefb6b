package inverter

import (
	"strings"
)

// Place is the position of an inverter among those of one dongle: the one at Index of Of. The zero value is that of an inverter
// that is alone.
type Place struct{ Index, Of int }

// Several reports whether there is more than one inverter.
func (p Place) Several() bool { return p.Of > 1 }

// InList returns a setting in which only this inverter has a value.
func (p Place) InList(value string) string {
	if !p.Several() {
		return value
	}
	return strings.Repeat(",", p.Index) + value + strings.Repeat(",", p.Of-1-p.Index)
}
