package api

import (
	"math"

	"sunspool/vps/energy"
	"sunspool/wire"
)

// flows are where the power goes, W, none of them negative; Unaccounted is what the measurements do not explain, of
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

func flowsOf(s *wire.Sample) (f flows) {
	powers := energy.PowersOf(s)
	split, home, grid := powers.Split()
	if home {
		f.SolarHome, f.SolarBattery, f.BatteryHome = watts(split.SolarHome), watts(split.SolarBattery), watts(split.BatteryHome)
	}
	if grid {
		f.SolarGrid, f.BatteryGrid = watts(split.SolarGrid), watts(split.BatteryGrid)
		f.GridHome, f.GridBattery, f.Unaccounted = watts(split.GridHome), watts(split.GridBattery), watts(split.Unaccounted)
	}
	return f
}

// watts cuts what binary fractions leave of a sum: 0.3999999999996362 is 0.4.
func watts(v float64) *float64 { return new(math.Round(v*1000)/1000 + 0) }
