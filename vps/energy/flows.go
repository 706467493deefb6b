package energy

import (
	"math"

	"sunspool/wire"
)

// Flows is where power or energy goes, in the unit of what it was split from. None but Unaccounted is negative.
type Flows struct {
	SolarHome, SolarBattery, SolarGrid float64
	BatteryHome, BatteryGrid           float64
	GridHome, GridBattery              float64
	Unaccounted                        float64 // what the measurements do not explain, of either sign
}

// Powers are those of one sample, W, and the state of charge, %. What is not known is nil.
type Powers struct {
	PV                         float64
	Load, Battery, Export, SOC *float64
}

// PowersOf returns the powers of s.
func PowersOf(s *wire.Sample) Powers {
	return Powers{PV: s.PVPowerW, Load: s.LoadPowerW, Battery: s.BatteryPowerW, Export: s.ExportPowerW, SOC: s.BatterySOCPct}
}

// noiseW is how far below 0 a load may be because its parts are read at different times.
const noiseW = 50

// house returns what the house consumes; false when that is not known, as with another generator behind the meter, which
// makes the load of the inverter less than 0.
func (p *Powers) house() (watts float64, ok bool) {
	if p.Load == nil || *p.Load < -noiseW {
		return 0, false
	}
	return max(*p.Load, 0), true
}

// Split divides the powers of one instant: solar serves the house first, then the battery, then the grid; the battery
// serves the house, then the grid; the grid serves what is left. Without a load no flow is known, and home is false; without
// a meter none of the grid, and grid is false. An absent battery has no flow: a unit that has one always reports it.
func (p *Powers) Split() (f Flows, home, grid bool) {
	load, ok := p.house()
	if !ok {
		return f, false, false
	}
	pv := max(p.PV, 0)
	charge, discharge := p.battery()
	f.SolarHome = min(pv, load)
	f.SolarBattery = min(pv-f.SolarHome, charge)
	f.BatteryHome = min(discharge, load-f.SolarHome)
	if p.Export == nil {
		return f, true, false
	}
	exported, imported := max(*p.Export, 0), max(-*p.Export, 0)
	f.SolarGrid = min(pv-f.SolarHome-f.SolarBattery, exported)
	f.BatteryGrid = min(discharge-f.BatteryHome, exported-f.SolarGrid)
	f.GridHome = min(imported, load-f.SolarHome-f.BatteryHome)
	f.GridBattery = min(imported-f.GridHome, charge-f.SolarBattery)
	f.Unaccounted = pv + discharge + imported - load - charge - exported
	return f, true, true
}

func (p *Powers) battery() (charge, discharge float64) {
	if p.Battery == nil {
		return 0, 0
	}
	return max(*p.Battery, 0), max(-*p.Battery, 0)
}

func (p *Powers) greatest() float64 {
	most := math.Abs(p.PV)
	for _, v := range [...]*float64{p.Load, p.Battery, p.Export} {
		if v != nil {
			most = max(most, math.Abs(*v))
		}
	}
	return min(most, mostW)
}
