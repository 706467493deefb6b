package history

import (
	"slices"
	"strings"
	"time"

	"sunspool/vps/deviceinfo"
	"sunspool/vps/energy"
)

// siteRow is a row of each device of a site, and what they have together at the same time.
type siteRow struct {
	site  *deviceinfo.Site
	value func(r *energy.Row, e int) (float64, energy.Source) // of a device: an energy, or its mean power
	noise float64                                             // how far below 0 what remains of sums may be
	parts []*energy.Row
	joint *energy.Row
}

// inBalance has the energies that add up whatever the devices share, and with which sign they are in the load of the house.
var inBalance = [energy.Energies]float64{energy.PV: 1, energy.Discharge: 1, energy.Import: 1, energy.Charge: -1, energy.Export: -1}

// ofBatteries are the energies that a device without a battery does not have.
var ofBatteries = []int{energy.Charge, energy.Discharge, energy.SolarBattery, energy.BatteryHome, energy.BatteryGrid, energy.GridBattery}

// derived is the source of a load that remains of sums.
const derived = energy.Mixed + 1

// of returns an energy of all devices together, and which of them do not know their part.
func (r *siteRow) of(e int) (v float64, from energy.Source, lacking []int) {
	if !r.site.Shared() || inBalance[e] != 0 {
		return r.sum(e)
	}
	rest, from, lacking := r.rest()
	if e == energy.Load {
		return rest, from, lacking
	}
	v, from = r.value(r.joint, e)
	return v, from, lacking
}

// counts reports whether a device has a part in an energy: that of the grid is of meters.
func counts(m *deviceinfo.Member, e int) bool {
	return m.Meter || e != energy.Import && e != energy.Export
}

// sum returns the sum of an energy of the devices that have it.
func (r *siteRow) sum(e int) (v float64, from energy.Source, lacking []int) {
	for i := range r.parts {
		m := &r.site.Members[i]
		if !counts(m, e) {
			continue
		}
		if part, source := r.value(r.parts[i], e); source != energy.Unknown {
			v, from = v+part, from.With(source)
		} else if m.Battery || !slices.Contains(ofBatteries, e) {
			lacking = append(lacking, i)
		}
	}
	if lacking != nil {
		from = energy.Unknown
	}
	return v, from, lacking
}

// rest returns the load that remains of the other energies.
func (r *siteRow) rest() (v float64, from energy.Source, lacking []int) {
	from = derived
	for e, sign := range inBalance {
		if sign == 0 {
			continue
		}
		part, source, some := r.sum(e)
		lacking = append(lacking, some...)
		if source != energy.Unknown {
			v += sign * part
		} else if some != nil || !slices.Contains(ofBatteries, e) {
			from = energy.Unknown
		}
	}
	if v < -r.noise {
		from = energy.Unknown
	}
	return max(v, 0), from, lacking
}

// spread returns how much of an energy counters rose in gaps across the borders of the row, NaN if none of them counts.
func (r *siteRow) spread(e int) float64 {
	sum, any := 0.0, false
	counter, ok := energy.Meter(e)
	for i, p := range r.parts {
		if _, from := p.KWh(e); ok && from == energy.Counted && counts(&r.site.Members[i], e) {
			sum, any = sum+p.Metered[counter].Spread, true
		}
	}
	return known(sum, any)
}

// beside returns a column that does not add up, f of a device, of all devices together.
func (r *siteRow) beside(name string, f func(*energy.Period, time.Time) float64, now time.Time) float64 {
	grid, battery := name == "grid_coverage", name == "battery_coverage"
	joint := r.site.Shared()
	switch {
	case strings.HasPrefix(name, "self_"):
		if !joint {
			return r.share(name)
		}
	case strings.HasPrefix(name, "import_peak"):
		grid, joint = true, len(r.site.Meters()) > 1
	case strings.HasPrefix(name, "pv_"): // its peak
		joint = len(r.parts) > 1
	default:
		joint = joint && (name == "load_coverage" || name == "flows_coverage")
	}
	if joint {
		return f(&r.joint.Period, now)
	}
	least, any := f(&energy.Period{Start: r.joint.Start, End: r.joint.End}, now), false
	for i, p := range r.parts {
		if m := &r.site.Members[i]; grid && !m.Meter || battery && !m.Battery {
			continue
		}
		if v := f(&p.Period, now); !any || v < least {
			least, any = v, true
		}
	}
	return least
}

// share returns a share of devices that have a connection each: their flows add up.
func (r *siteRow) share(name string) float64 {
	all := make([]*energy.Rollup, len(r.parts))
	for i, p := range r.parts {
		if all[i] = &p.Rollup; !p.HasData() {
			return unknown
		}
	}
	if name == "self_sufficiency_pct" {
		return percent(energy.SelfSufficiency(all...))
	}
	return percent(energy.SelfConsumption(all...))
}

// incomplete are the columns that are null somewhere because a device does not know its part, by device.
type incomplete map[string][]string

// add adds a column that lacks the parts of some devices in a row.
func (all incomplete) add(r *siteRow, column string, lacking []int) {
	all.note(r.site, column, lacking, func(i int) bool { return r.parts[i].HasData() })
}

// note adds a column that lacks the parts of some devices, if another one has data: a time of which nothing is known is empty,
// not incomplete.
func (all incomplete) note(site *deviceinfo.Site, column string, lacking []int, hasData func(member int) bool) {
	another := false
	for i := range site.Members {
		another = another || !slices.Contains(lacking, i) && hasData(i)
	}
	for _, i := range lacking {
		if id := site.Members[i].ID; another && !slices.Contains(all[id], column) {
			all[id] = append(all[id], column)
		}
	}
}
