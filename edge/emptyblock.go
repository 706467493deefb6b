package edge

import (
	"errors"
	"slices"
	"strings"

	"sunspool/edge/registers"
)

// errZeros is a block of zeros where an inverter has values.
var errZeros = errors.New("the dongle answers zeros: it starts, or has lost its inverter")

// emptyBlock reports whether the words of a block are no reading. A dongle that starts, or that has lost its inverter,
// answers zeros for a whole block while others live. lived is whether the block lived before, see blockLives.
//
// Only the two blocks are judged that no inverter has empty: A has the rated power and the grid's voltage, and D of a
// hybrid its state and its counters. Others are zeros where a WiNet-S has nothing to read: a meter, a second battery.
func emptyBlock(b registers.Block, words registers.Words, lived bool) bool {
	zero := func(skip uint16) bool {
		for i := range b.Count {
			if a := b.Start + i; a != skip && words[a] != 0 {
				return false
			}
		}
		return true
	}
	switch {
	case b.Name == "A":
		return zero(deviceType.Address())
	case b.Name == "D" && b.Start == blockD.Start:
		return zero(0) || lived && !blockLives(b, words)
	}
	return false
}

// blockLives reports whether block D has a state, a charge or a counter. A hybrid that is new, or has no battery, may
// have none of them.
func blockLives(b registers.Block, words registers.Words) bool {
	return slices.ContainsFunc(b.Registers, func(r registers.Register) bool {
		lifetime := r.Unit == "kWh" && strings.HasPrefix(r.Name, "total_")
		if !lifetime && r.Name != "running_state" && r.Name != "battery_soc" {
			return false
		}
		for i := range r.Words {
			if words[r.Address()+i] != 0 {
				return true
			}
		}
		return false
	})
}
