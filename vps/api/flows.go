package api

import (
	"math"

	"sunspool/vps/deviceinfo"
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

func flowsOf(s *wire.Sample) flows { return split(energy.PowersOf(s)) }

func split(powers energy.Powers) (f flows) {
	parts, home, grid := powers.Split()
	if home {
		f.SolarHome, f.SolarBattery, f.BatteryHome = watts(parts.SolarHome), watts(parts.SolarBattery), watts(parts.BatteryHome)
	}
	if grid {
		f.SolarGrid, f.BatteryGrid = watts(parts.SolarGrid), watts(parts.BatteryGrid)
		f.GridHome, f.GridBattery, f.Unaccounted = watts(parts.GridHome), watts(parts.GridBattery), watts(parts.Unaccounted)
	}
	return f
}

// flowsTogether are the sums of the flows of devices that have a connection each.
func flowsTogether(site *deviceinfo.Site) (sum flows) {
	for i, m := range site.Members {
		var f flows
		if m.Newest != nil {
			f = flowsOf(m.Newest)
		}
		if i == 0 {
			sum = f
			continue
		}
		to, of := sum.all(), f.all()
		for k := range to {
			if *to[k] == nil || *of[k] == nil {
				*to[k] = nil
			} else {
				*to[k] = watts(**to[k] + **of[k])
			}
		}
	}
	return sum
}

func (f *flows) all() []**float64 {
	return []**float64{&f.SolarHome, &f.SolarBattery, &f.SolarGrid, &f.BatteryHome, &f.BatteryGrid, &f.GridHome, &f.GridBattery, &f.Unaccounted}
}

// watts cuts what binary fractions leave of a sum: 0.3999999999996362 is 0.4.
func watts(v float64) *float64 { return new(math.Round(v*1000)/1000 + 0) }
