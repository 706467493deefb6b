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
	return zero(block, words, zerosOfA) || zero(block, words, zerosOfD)
}

// zero reports whether the block has all registers of these names, and was read as 0 in each of them.
func zero(block registers.Block, words registers.Words, names []string) bool {
	found := 0
	for i := range block.Registers {
		r := &block.Registers[i]
		if !slices.Contains(names, r.Name) {
			continue
		}
		for n := range r.Words {
			if w, ok := words[r.Address()+n]; !ok || w != 0 {
				return false
			}
		}
		found++
	}
	return found == len(names)
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
