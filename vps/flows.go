package vps

import (
	"math"

	"sunspool/wire"
)

// flows says where the power goes, W, none of them negative; Unaccounted is what the measurements do not explain, of
// either sign. Each is nil when a measurement that it is computed from is absent; a battery that is absent does nothing.
type flows struct {
	SolarHome    *float64 `json:"solar_home"`
	SolarBattery *float64 `json:"solar_battery"`
	SolarGrid    *float64 `json:"solar_grid"`
	BatteryHome  *float64 `json:"battery_home"`
	BatteryGrid  *float64 `json:"battery_grid"`
	GridHome     *float64 `json:"grid_home"`
	GridBattery  *float64 `json:"grid_battery"`
	Unaccounted  *float64 `json:"unaccounted"`
}

// flowsOf splits the powers of one instant: solar serves the house first, then the battery, then the grid; the battery
// serves the house, then the grid; the grid serves what is left.
func flowsOf(s *wire.Sample) (f flows) {
	if s.LoadPowerW == nil {
		return f
	}
	pv, load := max(s.PVPowerW, 0), max(*s.LoadPowerW, 0)
	solarHome := min(pv, load)
	f.SolarHome = watts(solarHome)
	var charge, discharge float64 // a unit that has a battery always says what it does
	if s.BatteryPowerW != nil {
		charge, discharge = max(*s.BatteryPowerW, 0), max(-*s.BatteryPowerW, 0)
	}
	solarBattery := min(pv-solarHome, charge)
	batteryHome := min(discharge, load-solarHome)
	f.SolarBattery, f.BatteryHome = watts(solarBattery), watts(batteryHome)
	if s.ExportPowerW == nil {
		return f
	}
	exported, imported := max(*s.ExportPowerW, 0), max(-*s.ExportPowerW, 0)
	solarGrid := min(pv-solarHome-solarBattery, exported)
	gridHome := min(imported, load-solarHome-batteryHome)
	f.SolarGrid, f.GridHome = watts(solarGrid), watts(gridHome)
	f.BatteryGrid = watts(min(discharge-batteryHome, exported-solarGrid))
	f.GridBattery = watts(min(imported-gridHome, charge-solarBattery))
	f.Unaccounted = watts(s.PVPowerW + discharge + imported - *s.LoadPowerW - charge - exported)
	return f
}

// watts cuts what binary fractions leave of a sum: 0.3999999999996362 is 0.4.
func watts(v float64) *float64 { return new(math.Round(v*1000)/1000 + 0) }
