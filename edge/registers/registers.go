// Package registers knows what every register of an inverter means. The knowledge is data: one CSV file per family,
// numbered as in the vendor's manual, so that a register more is a line more, here or in a user's own file.
//
//	hybrid.csv string.csv ── Parse ──> Map ── For(model) ──> Map ── Reads ──> []Block ── poller ──> Words
//	                                                          └── Register.Decode(Words) ──> 9.3 kWh
//
// A value is what the inverter says, in the unit and with the sign of the register; only BatteryPower turns it into the
// sign of this program. Nothing here does I/O, and everything may be used by any goroutine.
package registers

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"sync"
)

// Words are the words that an inverter gave, by wire address (0-based). An address that is absent was not read, or was
// refused.
type Words map[uint16]uint16

// Why a register has no value.
var (
	ErrNotRead      = errors.New("not read")      // at least one of its words is absent
	ErrNotAvailable = errors.New("not available") // the inverter marks it as such
	ErrImplausible  = errors.New("implausible")   // outside of what can be true
)

// errKind is a number asked of a text, or the other way round.
var errKind = errors.New("of another type")

// Kind is one of the two register tables of an inverter.
type Kind uint8

const (
	Input   Kind = iota // measurements, function code 0x04
	Holding             // settings, function code 0x03
)

func (k Kind) String() string { return [...]string{"input", "holding"}[k] }

// Type is how the words of a register become a value. Numbers of two words have the low word first.
type Type uint8

const (
	U16 Type = iota
	S16
	U32
	S32
	UTF8 // two characters a word, the high byte first, padded with NUL
)

func (t Type) String() string { return [...]string{"u16", "s16", "u32", "s32", "utf8"}[t] }

// marker is the raw value by which an inverter says that it does not have a register of this type.
func (t Type) marker() uint64 { return [...]uint64{0xFFFF, 0x7FFF, 0xFFFFFFFF, 0x7FFFFFFF, 0}[t] }

// Register is one line of a map.
type Register struct {
	Name        string // a key of Sample.Values: lower case, digits, underscores
	Description string
	Kind        Kind
	Number      uint16 // of the first word, as in the vendor's manual: 1-based
	Words       uint16
	Type        Type
	Scale       float64 // value = raw * Scale; 0 is 1
	Unit        string
	Min, Max    float64 // of a plausible value, inclusive; infinite when open
	Block       string  // read-plan blocks, space-separated: "identity", "A" ...; "" is known but not read

	Unavailable []uint64 // raw values that mean not available, besides the type's own
	Rescale     Rescale  // for firmware that counts in another unit

	// What a model needs to have the register.
	Models []string // one of these families or models, and none of those that begin with !; empty is any
	MPPTs  int      // at least so many trackers
	Phases int      // at least so many phases
}

// Rescale is another scale for the raw values from Low to High. The zero value is none.
type Rescale struct {
	Low, High uint64
	Scale     float64
}

func (s Rescale) holds(raw uint64) bool { return s.Scale != 0 && raw >= s.Low && raw <= s.High }

// Address is the wire address of the first word, 0-based.
func (r Register) Address() uint16 { return r.Number - 1 }

// end is the wire address after the last word.
func (r Register) end() int { return int(r.Address()) + int(r.Words) }

// Map is a set of registers in the order of kind and address.
type Map struct {
	registers []Register
	byName    map[string]int
	plan      func() []Block
}

func newMap(registers []Register) *Map {
	slices.SortStableFunc(registers, func(a, b Register) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Number, b.Number))
	})
	m := &Map{registers: registers, byName: make(map[string]int, len(registers))}
	m.plan = sync.OnceValue(m.reads)
	for i, r := range registers {
		m.byName[r.Name] = i
	}
	return m
}

// Lookup returns the register of that name.
func (m *Map) Lookup(name string) (Register, bool) {
	i, ok := m.byName[name]
	if !ok {
		return Register{}, false
	}
	return m.registers[i], true
}

// All yields every register in the order of kind and address.
func (m *Map) All() iter.Seq[Register] { return slices.Values(m.registers) }

// For returns the map without the registers that the model does not have: a dongle answers 0 for them, which is no
// measurement. What is not known of the model (a zero field) takes nothing away.
func (m *Map) For(model Model) *Map {
	var kept []Register
	for _, r := range m.registers {
		if r.on(model) {
			kept = append(kept, r)
		}
	}
	return newMap(kept)
}

func (r Register) on(m Model) bool {
	if m.MPPTs > 0 && m.MPPTs < r.MPPTs || m.Phases > 0 && m.Phases < r.Phases {
		return false
	}
	if m.Family == "" || len(r.Models) == 0 {
		return true
	}
	listed := strings.HasPrefix(r.Models[0], "!") // a list of exceptions is about all the others
	for _, name := range r.Models {
		name, except := strings.CutPrefix(name, "!")
		if name == m.Family || m.is(name) {
			return !except
		}
	}
	return listed
}

// Overlay returns the map with a user's own registers: one of the same name replaces, the others are added. An own
// register that names no block is read too: with the block that spans it, or in a block of its own, which has its name.
// So is one whose block would become more than one request can read.
func (m *Map) Overlay(own *Map) *Map {
	if own == nil {
		return m
	}
	var all []Register
	for _, r := range m.registers {
		if _, replaced := own.byName[r.Name]; !replaced {
			all = append(all, r)
		}
	}
	plan := newMap(slices.Clone(all)).Reads()
	for _, r := range own.registers {
		if r.Block == "" {
			r.Block = spanning(plan, r)
		}
		for block := range strings.FieldsSeq(r.Block) {
			if !fits(append(members(all, block), r)) {
				r.Block = r.Name
				break
			}
		}
		r.Block = cmp.Or(r.Block, r.Name)
		all = append(all, r)
	}
	return newMap(all)
}

// members are the registers of a block.
func members(registers []Register, block string) []Register {
	var in []Register
	for _, r := range registers {
		if slices.Contains(strings.Fields(r.Block), block) {
			in = append(in, r)
		}
	}
	return in
}

// spanning is the name of the block that reads r's words anyway at every poll, or "".
func spanning(plan []Block, r Register) string {
	for _, b := range plan {
		if b.Name != Identity && b.Kind == r.Kind && r.Address() >= b.Start && r.end() <= b.end() {
			return b.Name
		}
	}
	return ""
}

// String says where the register is, for messages: "battery_soc (input 13023)".
func (r Register) String() string { return fmt.Sprintf("%s (%v %d)", r.Name, r.Kind, r.Number) }

// plausible reports whether v is inside of the register's range.
func (r Register) plausible(v float64) bool {
	return v >= r.Min && v <= r.Max && !math.IsNaN(v)
}
