package registers

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// Identity is the block that is read once, when a connection is made.
const Identity = "identity"

// maxWords is what one Modbus request can ask for.
const maxWords = 125

// Block is one request of the read plan: Count words from the wire address Start, which is never a reserved one.
// Between its registers, which are in the order of their addresses, there may be reserved words.
type Block struct {
	Name         string
	Kind         Kind
	Start, Count uint16
	Registers    []Register
}

// end is the wire address after the last word.
func (b Block) end() int { return int(b.Start) + int(b.Count) }

// Reads is the read plan: identity first, then the other blocks by name, settings last. Start and count of a block
// follow from its registers. The plan is the map's own, not to be changed.
func (m *Map) Reads() []Block { return m.plan() }

func (m *Map) reads() []Block {
	byName := make(map[string][]Register)
	for _, r := range m.registers {
		for name := range strings.FieldsSeq(r.Block) {
			byName[name] = append(byName[name], r)
		}
	}
	plan := make([]Block, 0, len(byName))
	for name, registers := range byName {
		plan = append(plan, blockOf(name, registers))
	}
	slices.SortStableFunc(plan, func(a, b Block) int {
		return cmp.Or(
			cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.rank(), b.rank()),
			strings.Compare(a.Name, b.Name))
	})
	return plan
}

func (b Block) rank() int {
	if b.Name == Identity {
		return 0
	}
	return 1
}

// blockOf is the block that reads the registers, which are in the order of their addresses and of one kind.
func blockOf(name string, registers []Register) Block {
	start, end := int(registers[0].Address()), 0
	for _, r := range registers {
		end = max(end, r.end())
	}
	return Block{name, registers[0].Kind, uint16(start), uint16(end - start), registers}
}

// Split cuts a block that an inverter refuses in two, where most is reserved: at the widest hole between registers, of
// equal ones at the nearest to the middle. What is reserved there is in neither half. It cuts no register, and fails
// for a block that has nothing between registers.
func (b Block) Split() (lo, hi Block, ok bool) {
	var at, widest, nearest int
	end := 0
	for i, r := range b.Registers {
		start := int(r.Address())
		if i > 0 && start >= end {
			width := start - end
			aside := start + end - int(b.Start) - b.end() // twice the distance from the middle
			aside = max(aside, -aside)
			if at == 0 || width > widest || width == widest && aside < nearest {
				at, widest, nearest = i, width, aside
			}
		}
		end = max(end, r.end())
	}
	if at == 0 {
		return Block{}, Block{}, false
	}
	return blockOf(b.Name, b.Registers[:at]), blockOf(b.Name, b.Registers[at:]), true
}

// fits reports whether one request can read all of the registers.
func fits(registers []Register) bool {
	low, high := math.MaxInt, 0
	for _, r := range registers {
		if r.Kind != registers[0].Kind {
			return false
		}
		low, high = min(low, int(r.Address())), max(high, r.end())
	}
	return high-low <= maxWords
}
