package edge

import (
	"errors"
	"fmt"
	"math"

	"sunspool/edge/registers"
	"sunspool/wire"
)

// Findings is what normalizing a reading noticed beside the sample: facts about the unit, and fields that had to stay
// empty.
type Findings struct {
	NoBattery bool
	NoMeter   bool
	Asleep    bool     // a string inverter without sun: what it says of the house is old
	Battery   string   // how the direction of the battery's power was found
	Nulled    []string // registers with a value that cannot be, and so is not passed on
}

// Unusable is a reading that gives no sample, and why.
type Unusable struct {
	Code string // no_block, no_value, battery_direction
	Why  string
	Err  error
}

func (e *Unusable) Error() string { return "no sample: " + e.Why }
func (e *Unusable) Unwrap() error { return e.Err }

// Normalize makes the sample that a reading stands for, in the units and signs of the contract. It is pure.
//
// What a unit cannot measure, because it has no battery or no meter, is nil; so is an optional value outside of its
// register's plausible range. When a value is missing that the contract promises and that this unit does measure,
// there is no sample: the error is then an *Unusable. A zero is only ever a zero that was read.
func Normalize(r Reading) (wire.Sample, Findings, error) {
	d := decoder{r.Words, r.Map}
	s := wire.Sample{Time: timestamp(r.At), Count: 1, Values: make(map[string]float64, 96)}
	var f Findings

	pv, err := d.need(r, "A", "total_dc_power")
	if err != nil {
		return s, f, err
	}
	s.PVPowerW = pv
	if r.Model.Hybrid {
		err = hybrid(r, d, &s, &f)
	} else {
		err = stringInverter(d, &s, &f)
	}
	if err != nil {
		return s, f, err
	}
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
		case err == nil:
			s.Values[reg.Name] = v
		case errors.Is(err, registers.ErrImplausible):
			f.Nulled = append(f.Nulled, reg.Name)
		}
	}
	return s, f, nil
}

// hybrid fills in what a unit with battery inputs knows.
func hybrid(r Reading, d decoder, s *wire.Sample, f *Findings) error {
	if _, err := d.need(r, "D", "running_state"); err != nil {
		return err
	}
	s.PVDailyKWh = d.maybe("daily_pv_generation")
	s.PVTotalKWh = d.counter("total_pv_generation")
	s.DirectTotalKWh = d.counter("total_direct_consumption")

	if f.NoBattery = !hasBattery(d); !f.NoBattery {
		power, method, err := registers.BatteryPower(r.Words)
		if err != nil {
			return &Unusable{"battery_direction", "the power of the battery is not known: " + err.Error(), err}
		}
		soc, err := d.need(r, "D", "battery_soc")
		if err != nil {
			return err
		}
		f.Battery = method
		s.BatteryPowerW, s.BatterySOCPct = &power, &soc
		s.BatteryTempC = d.maybe("battery_temperature")
		s.ChargeTotalKWh = d.counter("total_battery_charge")
		s.DischargeTotalKWh = d.counter("total_battery_discharge")
	}
	if f.NoMeter = !hasMeter(d); !f.NoMeter {
		export, err := d.need(r, "D", "export_power")
		if err != nil {
			return err
		}
		load, err := d.need(r, "D", "load_power")
		if err != nil && !d.loadIsMinusOne(export) {
			return err
		} else if err != nil {
			load = -1
		}
		s.LoadPowerW, s.ExportPowerW = &load, &export
		s.ImportTotalKWh = d.counter("total_import_energy")
		s.ExportTotalKWh = d.counter("total_export_energy")
	}
	return nil
}

// hasBattery reports whether a battery is connected: without one voltage, charge and health all read nothing. A charge
// of 0 alone is an empty battery.
func hasBattery(d decoder) bool {
	return d.nonZero("battery_voltage") || d.nonZero("battery_soc") || d.nonZero("battery_soh") || d.nonZero("battery_power_signed")
}

// hasMeter reports whether a grid meter is connected. Without one the inverter's LAN port says "not available" at the
// meter's own register and a WiNet-S answers 0 there; the export is then 0 and the load is the inverter's own output,
// and neither was measured.
func hasMeter(d decoder) bool {
	if d.raw("meter_active_power") == 0x7FFFFFFF {
		return false
	}
	return d.nonZero("meter_active_power") || d.nonZero("export_power") ||
		d.nonZero("total_import_energy") || d.nonZero("total_export_energy")
}

// stringInverter fills in what a unit without battery inputs knows. Its meter is optional, and at night, when the
// inverter sleeps, its meter's values and its daily yield are those of the evening before.
func stringInverter(d decoder, s *wire.Sample, f *Findings) error {
	f.NoBattery = true
	f.Asleep = s.PVPowerW == 0 && !d.nonZero("mppt1_voltage") && !d.nonZero("mppt2_voltage") && !d.nonZero("phase_a_voltage")
	s.PVTotalKWh = d.counter("total_yield_string_fine")
	if s.PVTotalKWh == nil && !d.unread("total_yield_string_fine") {
		s.PVTotalKWh = d.counter("total_yield_string") // whole kWh: all that some firmware has
	}
	if !f.Asleep {
		s.PVDailyKWh = d.maybe("daily_yield_string")
	}
	if d.unread("meter_power_string") && d.unread("load_power_string") {
		return nil // this time, or for ever: nothing is known of the meter
	}
	f.NoMeter = !d.nonZero("meter_power_string") && !d.nonZero("load_power_string") &&
		!d.nonZero("total_import_energy_string") && !d.nonZero("total_export_energy_string")
	if f.NoMeter || f.Asleep {
		return nil
	}
	s.LoadPowerW = d.maybe("load_power_string")
	if grid := d.maybe("meter_power_string"); grid != nil { // positive = from the grid
		s.ExportPowerW = new(0 - *grid)
	}
	s.ImportTotalKWh = d.counter("total_import_energy_string")
	s.ExportTotalKWh = d.counter("total_export_energy_string")
	return nil
}

// decoder looks registers up by name.
type decoder struct {
	words   registers.Words
	mapping *registers.Map
}

func (d decoder) value(name string) (float64, error) {
	reg, ok := d.mapping.Lookup(name)
	if !ok {
		return 0, fmt.Errorf("%s: %w", name, registers.ErrNotRead)
	}
	return reg.Decode(d.words)
}

// need returns a value without which there is no sample.
func (d decoder) need(r Reading, block, name string) (float64, error) {
	v, err := d.value(name)
	switch {
	case err == nil:
		return v, nil
	case errors.Is(err, registers.ErrNotRead) && r.Lost[block] != nil:
		return 0, &Unusable{"no_block", fmt.Sprintf("block %s was not read: %v", block, r.Lost[block]), r.Lost[block]}
	}
	return 0, &Unusable{"no_value", fmt.Sprintf("%s is not known: %v", name, err), err}
}

// maybe returns a value that may be missing.
func (d decoder) maybe(name string) *float64 {
	v, err := d.value(name)
	if err != nil {
		return nil
	}
	return &v
}

// counter returns a lifetime counter. One that reads 0 is not passed on: a WiNet-S answers 0 for a counter that the
// unit does not have, and one that the unit does have says nothing before it has counted.
func (d decoder) counter(name string) *float64 {
	if !d.nonZero(name) {
		return nil
	}
	return d.maybe(name)
}

// loadIsMinusOne tells a load of -1 W from a register that is not there: both read all ones. The output of the inverter
// less what it exports is the load, within what changes while they are read.
func (d decoder) loadIsMinusOne(export float64) bool {
	ac, err := d.value("total_active_power")
	return err == nil && d.raw("load_power") == 0xFFFFFFFF && math.Abs(ac-export+1) <= 25
}

// raw is the two words of a register as they were read, 0 if they were not.
func (d decoder) raw(name string) uint32 {
	reg, _ := d.mapping.Lookup(name)
	return uint32(d.words[reg.Address()]) | uint32(d.words[reg.Address()+1])<<16
}

func (d decoder) nonZero(name string) bool {
	v, err := d.value(name)
	return err == nil && v != 0
}

func (d decoder) unread(name string) bool {
	_, err := d.value(name)
	return errors.Is(err, registers.ErrNotRead)
}
