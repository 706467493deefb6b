package inverter

import (
	"errors"
	"slices"
	"strings"

	"sunspool/edge/registers"
	"sunspool/edge/witness"
)

// errZeros is returned for a block of zeros where an inverter has values.
var errZeros = errors.New("the dongle answers zeros: it starts, or has lost its inverter")

// emptyBlock reports whether the words of a block are zeros in place of a reading, see witness.Empty. lived is whether
// hasValues reported true before: then a block D without state, charge and counters is no reading either.
func emptyBlock(b registers.Block, words registers.Words, lived bool) bool {
	return witness.Empty(b, words) || lived && b.Name == "D" && b.Start == blockD.Start && !hasValues(b, words)
}

// hasValues reports whether the block has a state, a charge or a counter other than 0. Block D of a hybrid that is new, or
// has no battery, may have none of them.
func hasValues(b registers.Block, words registers.Words) bool {
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

// silent reports whether every word of the block has the value of an absent register.
func silent(b registers.Block, words registers.Words) bool {
	for i := range b.Count {
		if w := words[b.Start+i]; w != 0 && w != 0xFFFF && w != 0x7FFF {
			return false
		}
	}
	return true
}
