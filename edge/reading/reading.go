// Package reading makes a sample of what one poll has read.
//
//	inverter.Reading ──> witness: what the registers mean ──> wire.Sample, in the units and signs of the API
//	                                                     └──> Findings: what is missing, and why
//
// It reads no clock and does no I/O. A Normalizer remembers of earlier readings what decides whether a value can be right.
package reading

import (
	"cmp"
	"errors"
	"strings"
	"time"

	"sunspool/edge/inverter"
	"sunspool/edge/registers"
	"sunspool/edge/witness"
	"sunspool/wire"
)

// Findings is what normalizing a reading yields besides the sample: facts about the unit, and which fields are empty.
type Findings struct {
	NoBattery bool
	NoMeter   bool
	MeterLost bool              // the inverter reports that its meter does not answer
	Asleep    bool              // a string inverter without sun: its values of the house are old
	Battery   string            // how the direction of the battery's power was determined
	Nulled    []string          // registers with an impossible value, which are left out
	Withheld  []string          // registers with an unlikely value, which are left out as well
	Doubts    []string          // fields that are empty because registers contradict each other
	Unknown   map[string]string // why fields are empty, by their names
	Balance   witness.Balance   // what is left over where powers must add up
}

// Unusable is the error of a reading that yields no sample.
type Unusable struct {
	Code string // no_block, no_value, contradiction
	Why  string
	Err  error
}

func (e *Unusable) Error() string { return "no sample: " + e.Why }
func (e *Unusable) Unwrap() error { return e.Err }

// oldWords is how long the words of a string inverter may stay the same in the dark: as long as a night.
const oldWords = 20 * time.Hour

// Normalizer makes samples of the readings of one inverter. From earlier ones it decides whether a 0 is a measurement, whether a
// dongle repeats itself and when a day began. The zero value is ready.
type Normalizer struct {
	Zone *time.Location       // in which days begin; nil if not known
	Save func(YieldDay) error // stores the counter with which a day began, for the next process; may be nil

	past   witness.Past
	day    witness.Day
	fine   bool   // its counter of tenths works
	dark   bool   // it is a string inverter without sun
	serial string // of the inverter to which these belong
}

// Normalize returns the sample of a reading that is the first of its inverter.
func Normalize(r inverter.Reading) (wire.Sample, Findings, error) {
	return new(Normalizer).Normalize(r, r.At, true)
}

// Normalize returns the sample of a reading, in the units and signs of the API.
//
// Values that were not measured are nil, see package witness. Only PV power is required; without it the error is an *Unusable.
// at is the time of the reading, and dated whether it is known to be right.
func (n *Normalizer) Normalize(r inverter.Reading, at time.Time, dated bool) (wire.Sample, Findings, error) {
	if r.Serial != "" && n.serial != "" && r.Serial != n.serial {
		*n = Normalizer{Zone: n.Zone, Save: n.Save}
	}
	n.serial = cmp.Or(r.Serial, n.serial)
	poll := witness.Poll{At: r.At, Words: r.Words, Map: r.Map, Hybrid: r.Model.Hybrid}
	m := witness.Decide(poll, &n.past)
	n.past.Learn(r.At, poll, m)
	n.dark = !r.Model.Hybrid && m.PVPowerW != nil && *m.PVPowerW == 0

	f := Findings{
		NoBattery: m.NoBattery || !r.Model.Hybrid, NoMeter: m.NoMeter, MeterLost: m.MeterLost, Asleep: m.Asleep,
		Battery: m.Battery, Doubts: m.Doubts, Balance: m.Balance,
	}
	s := wire.Sample{Time: r.At.UTC().Truncate(time.Millisecond), Count: 1, Values: make(map[string]float64, 96)}
	if m.PVPowerW == nil {
		return s, f, unknownPV(r, m)
	}
	s.PVPowerW = *m.PVPowerW
	s.BatteryPowerW, s.BatterySOCPct, s.BatteryTempC = m.BatteryPowerW, m.BatterySOCPct, m.BatteryTempC
	s.LoadPowerW, s.ExportPowerW = m.LoadPowerW, m.ExportPowerW

	r.Words = m.Words
	c := counters{words: r.Words, mapping: r.Map, withheld: make(map[string]bool, len(m.Withheld))}
	for _, name := range m.Withheld {
		c.withheld[name] = true
	}
	n.counters(c, r.Model.Hybrid, &s)
	s.PVDailyKWh = n.daily(r, n.local(at, dated), c, &s)
	if s.PVDailyKWh == nil {
		c.withheld["daily_pv_generation"], c.withheld["daily_yield_string"] = true, true
	}
	f.Nulled, f.Withheld = c.values(r, &s)
	f.Unknown = unknown(&s, f)
	return s, f, nil
}

// Still returns for how long the dongle has repeated the same values, 0 if it does not. A string inverter sleeps at night, even
// if its grid voltage of the evening stays readable.
func (n *Normalizer) Still() time.Duration {
	still := n.past.Still()
	if n.dark && still < oldWords {
		return 0
	}
	return still
}

// unknownPV returns why there is no sample.
func unknownPV(r inverter.Reading, m witness.Result) error {
	if err := r.Lost["A"]; err != nil {
		return &Unusable{"no_block", "block A was not read: " + err.Error(), err}
	}
	for _, doubt := range m.Doubts {
		if strings.HasPrefix(doubt, "pv_power_w") {
			return &Unusable{"contradiction", doubt, nil}
		}
	}
	reg, _ := r.Map.Lookup("total_dc_power")
	_, err := reg.Decode(r.Words)
	if err == nil {
		err = errors.New("it reads 0 beside an inverter that works")
	}
	return &Unusable{"no_value", "total_dc_power is not known: " + err.Error(), err}
}

// local returns the local time of the inverter, zero if it is not known.
func (n *Normalizer) local(at time.Time, dated bool) time.Time {
	if !dated || n.Zone == nil {
		return time.Time{}
	}
	return at.In(n.Zone)
}

// counters sets the lifetime counters. For a unit that has a counter of tenths, the one of whole kWh is not used in between.
func (n *Normalizer) counters(c counters, hybrid bool, s *wire.Sample) {
	if hybrid {
		s.PVTotalKWh = c.counter("total_pv_generation")
		s.DirectTotalKWh = c.counter("total_direct_consumption")
		s.ChargeTotalKWh = c.counter("total_battery_charge")
		s.DischargeTotalKWh = c.counter("total_battery_discharge")
		s.ImportTotalKWh = c.counter("total_import_energy")
		s.ExportTotalKWh = c.counter("total_export_energy")
		return
	}
	s.PVTotalKWh = c.counter("total_yield_string_fine")
	n.fine = n.fine || s.PVTotalKWh != nil
	if coarse := c.counter("total_yield_string"); !n.fine {
		s.PVTotalKWh = coarse // whole kWh: all that some firmware has
	}
	s.ImportTotalKWh = c.counter("total_import_energy_string")
	s.ExportTotalKWh = c.counter("total_export_energy_string")
}

// daily returns the energy of the day by its register and by the counter.
func (n *Normalizer) daily(r inverter.Reading, at time.Time, c counters, s *wire.Sample) *float64 {
	y := witness.Yield{Total: s.PVTotalKWh, Sunny: s.PVPowerW > 0, Hybrid: r.Model.Hybrid, Counts: 0.1}
	name := "daily_pv_generation"
	if !r.Model.Hybrid {
		name = "daily_yield_string"
		if !n.fine {
			y.Counts = 1
		}
	}
	y.Daily = c.maybe(name)
	if kw := c.maybe("nominal_power"); kw != nil {
		y.RatedW = 1000 * *kw
	}
	before := n.day.Date
	yield := n.day.Read(at, y)
	if n.Save != nil && n.day.Date != before && n.day.Midnight != nil {
		n.Save(YieldDay{n.serial, n.day}) // the next process can do without it
	}
	return yield
}

// counters reads what a sample has beside its powers.
type counters struct {
	words    registers.Words
	mapping  *registers.Map
	withheld map[string]bool
}

// maybe returns the value of a register, nil if it is missing.
func (c counters) maybe(name string) *float64 {
	reg, ok := c.mapping.Lookup(name)
	if !ok || c.withheld[name] {
		return nil
	}
	v, err := reg.Decode(c.words)
	if err != nil {
		return nil
	}
	return &v
}

// counter returns a lifetime counter, nil if it reads 0: a WiNet-S answers 0 for a counter that the unit does not have, and one
// that it does have means nothing before it has counted.
func (c counters) counter(name string) *float64 {
	v := c.maybe(name)
	if v == nil || *v == 0 {
		c.withheld[name] = true
		return nil
	}
	return v
}

// values sets Values to every register whose value is used, and returns those with an impossible value and those withheld.
func (c counters) values(r inverter.Reading, s *wire.Sample) (implausible, withheld []string) {
	for reg := range r.Map.All() {
		if reg.Type == registers.UTF8 {
			continue
		}
		words := r.Words
		if reg.Kind == registers.Holding {
			words = r.Set
		}
		v, err := reg.Decode(words)
		switch {
		case errors.Is(err, registers.ErrImplausible):
			implausible = append(implausible, reg.Name)
		case err != nil:
		case c.withheld[reg.Name]:
			withheld = append(withheld, reg.Name)
		default:
			s.Values[reg.Name] = v
		}
	}
	return implausible, withheld
}

// Merge continues the day that an earlier process read of the same inverter, unless another one has begun.
func (n *Normalizer) Merge(day YieldDay) {
	switch {
	case n.serial != "" && day.Serial != "" && n.serial != day.Serial:
	case n.day.Date == "":
		n.day.Date, n.day.Midnight = day.Day.Date, day.Day.Midnight
		n.serial = cmp.Or(n.serial, day.Serial)
	case n.day.Date == day.Day.Date && n.day.Midnight == nil:
		n.day.Midnight = day.Day.Midnight
	case n.day.Date != day.Day.Date && n.day.Midnight != nil && n.Save != nil: // it began while nothing could be written
		n.Save(YieldDay{n.serial, witness.Day{Date: n.day.Date, Midnight: n.day.Midnight}})
	}
}

// YieldDay is the day for which the yield of an inverter was last read.
type YieldDay struct {
	Serial string      `json:"serial,omitempty"`
	Day    witness.Day `json:"day"`
}
