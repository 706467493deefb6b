package energy

import "sunspool/wire"

// Flows says where power or energy goes, in the unit of what it was split from. None but Unaccounted is negative.
type Flows struct {
	SolarHome, SolarBattery, SolarGrid float64
	BatteryHome, BatteryGrid           float64
	GridHome, GridBattery              float64
	Unaccounted                        float64 // what the measurements do not explain, of either sign
}

// Powers are what one sample says of an instant, W. What is not known is nil.
type Powers struct {
	PV                    float64
	Load, Battery, Export *float64
}

// PowersOf returns the powers of s.
func PowersOf(s *wire.Sample) Powers {
	return Powers{PV: s.PVPowerW, Load: s.LoadPowerW, Battery: s.BatteryPowerW, Export: s.ExportPowerW}
}

// Split divides the powers of one instant: solar serves the house first, then the battery, then the grid; the battery
// serves the house, then the grid; the grid serves what is left. Without a load nothing can be said, and home is false;
// without a meter nothing of the grid, and grid is false. A battery that is absent does nothing: a unit that has one
// always says what it does.
func (p Powers) Split() (f Flows, home, grid bool) {
	if p.Load == nil {
		return f, false, false
	}
	pv, load := max(p.PV, 0), max(*p.Load, 0)
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
	f.Unaccounted = p.PV + discharge + imported - *p.Load - charge - exported
	return f, true, true
}

func (p Powers) battery() (charge, discharge float64) {
	if p.Battery == nil {
		return 0, 0
	}
	return max(*p.Battery, 0), max(-*p.Battery, 0)
}
