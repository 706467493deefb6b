package witness

import (
	"maps"
	"slices"

	"sunspool/edge/registers"
)

// What tells a block of zeros from a reading: a dongle that starts, or has lost its inverter, answers zeros for one
// block while others live. Each of these words is 0 there, and no inverter has them all 0.
var (
	zerosOfA = []string{"nominal_power", "inverter_temperature", "total_dc_power", "mppt1_voltage", "phase_a_voltage"}
	zerosOfD = []string{
		"running_state", "battery_soc", "battery_voltage", "load_power", "export_power", "total_active_power",
		"total_pv_generation", "total_export_from_pv", "total_battery_charge", "total_battery_discharge",
		"total_import_energy", "total_export_energy", "total_direct_consumption",
	}
)

// Empty reports whether the words of a block are zeros that stand for no reading.
func Empty(block registers.Block, words registers.Words) bool {
	for _, zeros := range [][]string{zerosOfA, zerosOfD} {
		if known := inBlock(block, zeros); len(known) == len(zeros) && !slices.ContainsFunc(known, notZero(words)) {
			return true
		}
	}
	return false
}

func inBlock(block registers.Block, names []string) (known []registers.Register) {
	for _, r := range block.Registers {
		if slices.Contains(names, r.Name) {
			known = append(known, r)
		}
	}
	return known
}

// notZero reports whether a register was not read, or reads anything else than 0.
func notZero(words registers.Words) func(registers.Register) bool {
	return func(r registers.Register) bool {
		for i := range r.Words {
			if w, ok := words[r.Address()+i]; !ok || w != 0 {
				return true
			}
		}
		return false
	}
}

// believable returns the words without those of empty blocks, and of blocks that are not believed.
func believable(in Poll, without []string) registers.Words {
	words := in.Words
	for _, block := range in.Map.Reads() {
		if block.Kind != registers.Input || !Empty(block, in.Words) && !slices.Contains(without, block.Name) {
			continue
		}
		words = maps.Clone(words)
		for i := range block.Count {
			delete(words, block.Start+i)
		}
	}
	return words
}
