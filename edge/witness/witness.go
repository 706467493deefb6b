// Package witness decides what the registers of one poll mean.
//
// One poll tells each quantity more than once: by registers of its own, by the product of a voltage and a current, and
// by what the others leave over. Each of these is a witness. A register that a unit does not have reads 0 through a
// WiNet-S and a marker on the LAN port, so a witness that reads 0 or a marker is silent while another one speaks:
//
//	Words ──> witnesses of PV, AC, battery, grid, load ──> the best that no other one contradicts ──> Result
//	            table.go                                     pv.go battery.go grid.go
//
// A quantity without a witness, or with two that contradict each other while nothing decides, has no value: never a 0
// that nobody measured. Only PV power is needed for a sample. What is not believed is listed in Result.Withheld.
package witness

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"sunspool/edge/registers"
)

// Poll is what one poll of one inverter got.
type Poll struct {
	At     time.Time
	Words  registers.Words
	Map    *registers.Map
	Hybrid bool
}

// Result is what a poll means, in the units and signs of a sample. A quantity that is nil is not known.
type Result struct {
	PVPowerW      *float64
	BatteryPowerW *float64 // above 0 charging
	BatterySOCPct *float64
	BatteryTempC  *float64
	LoadPowerW    *float64
	ExportPowerW  *float64 // above 0 to the grid

	NoBattery bool     // nothing shows a battery
	NoMeter   bool     // nothing shows a grid meter, or the inverter reports it lost
	MeterLost bool     // the inverter reports it lost
	Asleep    bool     // a string inverter without sun
	Battery   string   // what the sign of the battery's power was taken from
	Doubts    []string // quantities that are nil because two witnesses contradict each other, and how
	Withheld  []string // registers that are not believed
	Balance   Balance

	Words registers.Words // those of the poll that are believed; of Withheld some may be left

	straight bool // the meter's sign is that of its manual
	reversed bool // it is the other one
	metered  bool // a meter is alive
	differs  bool // blocks do not belong together, as far as the powers show it
}

// What two witnesses of one quantity may differ by, for the registers of a poll are not read at one instant: 21 to 81 W
// were seen on real units.
const (
	apartW       = 50.0
	apartPercent = 3.0
)

// What a conversion loses, at most.
const (
	lossW       = 350.0
	lossPercent = 4.0
)

func apart(watts ...float64) float64 {
	return apartW + apartPercent/100*largest(watts...)
}

func loss(watts ...float64) float64 {
	return max(lossW, lossPercent/100*largest(watts...))
}

func largest(watts ...float64) (most float64) {
	for _, w := range watts {
		most = max(most, math.Abs(w))
	}
	return most
}

// reading is what one witness reads. The quantity is from watts to watts+above: what is derived across a conversion is
// known only up to its loss.
type reading struct {
	speaks    bool
	watts     float64
	above     float64
	registers []string // it is made of
	by        string   // of a battery's power: what its sign was taken from
}

// alive reports whether r reads something else than 0, which may be a register that is not there.
func (r reading) alive() bool { return r.speaks && r.watts != 0 }

func (r reading) agrees(o reading) bool {
	return r.speaks && o.speaks && max(r.watts, o.watts)-min(r.watts+r.above, o.watts+o.above) <= apart(r.watts, o.watts)
}

// negative is r with the other sign.
func (r reading) negative() reading {
	r.watts = 0 - r.watts
	return r
}

// poll is a Poll while it is decided.
type poll struct {
	Poll
	past     *Past
	family   family
	rated    float64 // W, 0 if not known
	out      Result
	withheld map[string]bool

	dc, trackers  reading
	wholeTrackers bool // every tracker of the model works
	ac            reading
	battery       reading
	pv            reading

	batteryTwice, gridTwice bool // two blocks agree on it
	blocksDiffer            bool // two blocks do not agree on the battery
}

// Decide returns what the poll means. past is what earlier polls of this inverter showed; it is not changed, see
// Past.Learn.
func Decide(in Poll, past *Past) Result {
	old := past.standing(in)
	result := decide(in, past, old)
	if len(result.Doubts) == 0 && result.Balance.Adds() || past.unbalanced(in.At) {
		return result
	}
	// Something does not add up. A block with the very words of the poll before, while others moved, is why.
	still := past.repeated(in)
	if len(still) == 0 {
		return result
	}
	return decide(in, past, append(old, still...))
}

func decide(in Poll, past *Past, without []string) Result { return decided(in, past, without).out }

// decided is a poll with its result.
func decided(in Poll, past *Past, without []string) *poll {
	p := &poll{Poll: in, past: past, family: stringInverter, withheld: make(map[string]bool)}
	if in.Hybrid {
		p.family = hybrid
	}
	p.Words = believable(in, without)
	if kw, err := p.value("nominal_power"); err == nil {
		p.rated = 1000 * kw
	}
	p.readPV()
	p.readAC()
	if in.Hybrid {
		p.decideBattery()
	}
	p.decidePV()
	p.settleAC()
	p.decideGrid()
	p.out.Balance = p.balance()
	p.dropUnsupported()
	p.out.Withheld, p.out.Words = p.list(), p.Words
	return p
}

// value decodes a register of the unit's map.
func (p *poll) value(name string) (float64, error) {
	reg, ok := p.Map.Lookup(name)
	if !ok {
		return 0, registers.ErrNotRead
	}
	return reg.Decode(p.Words)
}

func (p *poll) nonZero(name string) bool {
	v, err := p.value(name)
	return err == nil && v != 0
}

// register is the witness that reads one register, times sign. What is beyond the limit, in times of the rated power,
// was not measured.
func (p *poll) register(name string, sign, limit float64) reading {
	v, err := p.value(name)
	if err != nil || p.rated > 0 && math.Abs(v) > limit*p.rated+500 {
		return reading{registers: []string{name}}
	}
	return reading{speaks: true, watts: 0 + sign*v, registers: []string{name}}
}

// withhold keeps registers out of what is passed on.
func (p *poll) withhold(names ...string) {
	for _, name := range names {
		p.withheld[name] = true
	}
}

// silence withholds the witnesses that do not agree with what was decided.
func (p *poll) silence(decided reading, witnesses ...reading) {
	for _, w := range witnesses {
		if !w.agrees(decided) {
			p.withhold(w.registers...)
		}
	}
}

func (p *poll) list() []string {
	var names []string
	for name := range p.withheld {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// doubt notes why a quantity has no value although witnesses speak.
func (p *poll) doubt(field, format string, args ...any) {
	p.out.Doubts = append(p.out.Doubts, field+": "+fmt.Sprintf(format, args...))
}

// read reports whether the inverter answered for the register, whatever it answered.
func (p *poll) read(name string) bool {
	_, err := p.value(name)
	return !errors.Is(err, registers.ErrNotRead)
}

// minusOne reports whether all bits of the register are set: it is -1, or a hole between registers.
func (p *poll) minusOne(name string) bool {
	reg, ok := p.Map.Lookup(name)
	if !ok {
		return false
	}
	for i := range reg.Words {
		if w, ok := p.Words[reg.Address()+i]; !ok || w != 0xFFFF {
			return false
		}
	}
	return true
}
