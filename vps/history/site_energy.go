package history

import (
	"slices"
	"time"

	"sunspool/vps/deviceinfo"
	"sunspool/vps/energy"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
)

// siteTable returns the energies of the periods of sp, of all devices of a site together. It has no money: the devices may
// have different prices.
func (h *History) siteTable(c *request.Request, site *deviceinfo.Site, sp query.Span, r store.Resolution, label string, now time.Time) (t energyTable, err error) {
	most := max(1, maxEnergyRows/len(site.Members))
	starts, err := h.periodStarts(c, sp, r, most)
	if err != nil {
		return t, err
	}
	n := max(0, len(starts)-1)
	if err := h.Weigh(c, n*len(site.Members)); err != nil {
		return t, err
	}
	s := newSiteSummary(site, sp.Until(now), n)
	if n == 0 {
		return s.table(), nil
	}
	asleep, err := h.sleeps(c, site, s.span)
	if err != nil {
		return t, err
	}
	joint, err := h.joint(c, site, starts, store.FiveMinutes, asleep, now)
	if err != nil {
		return t, err
	}
	if err := h.jointQuarters(c, site.Meters(), joint, now); err != nil {
		return t, err
	}
	atOnce := max(1, request.RowsAtOnce/len(site.Members))
	for i := 0; i < n; i += atOnce {
		end := min(i+atOnce, n)
		err := h.Step(c, func() error {
			all := make([][]energy.Row, len(site.Members))
			for m, member := range site.Members {
				rows, err := h.Rows(c, member.ID, query.Span{From: starts[i], To: starts[end], Zone: sp.Zone}, r)
				if err != nil {
					return err
				}
				for k := range rows {
					asleep.darken(m, &rows[k].Period)
				}
				s.rollups[m].Gather(rows)
				all[m] = rows
			}
			for k := range end - i {
				both := energy.Row{Period: energy.Period{Start: starts[i+k], End: starts[i+k+1]}}
				if joint != nil {
					both.Period = joint[i+k]
				}
				parts := make([]*energy.Row, len(all))
				for m := range all {
					parts[m] = &all[m][k]
				}
				s.add(parts, &both, label)
			}
			return nil
		})
		if err != nil {
			return t, err
		}
	}
	return s.table(), nil
}

// siteSummary makes a table of the rows of several devices.
type siteSummary struct {
	summary
	site    *deviceinfo.Site
	rollups []energy.Rollup // of all rows of each device
}

func newSiteSummary(site *deviceinfo.Site, sp query.Span, n int) *siteSummary {
	s := &siteSummary{summary: *newSummary(sp, n), site: site, rollups: make([]energy.Rollup, len(site.Members))}
	s.Incomplete = incomplete{}
	return s
}

// add adds a row: that of each device, and what they have together at the same time.
func (s *siteSummary) add(parts []*energy.Row, joint *energy.Row, label string) {
	row := siteRow{s.site, parts, joint}
	s.Labels, s.From = append(s.Labels, joint.Start.Format(label)), append(s.From, joint.Start.Unix())
	for e, name := range EnergyColumns {
		kwh, from, lacking := row.kwh(e)
		s.Columns[name] = append(s.Columns[name], round(known(kwh, from != energy.Unknown), 3))
		if from == energy.Unknown {
			s.Incomplete.add(s.site, name, lacking, func(i int) bool { return parts[i].HasData() })
		} else {
			s.kwh[e], s.from[e] = s.kwh[e]+kwh, s.from[e].With(from)
		}
		if k, ok := energy.Meter(e); ok {
			spread := row.spread(e, k)
			s.spread[e].column = append(s.spread[e].column, round(known(spread, from != energy.Unknown), 3))
			if from != energy.Unknown && spread == spread {
				s.spread[e].total += spread
			}
		}
	}
	for name, f := range rowColumns {
		s.Columns[name] = append(s.Columns[name], row.beside(name, f, s.span.To))
	}
	s.rollup.Gather([]energy.Row{*joint})
}

func (s *siteSummary) table() energyTable {
	t := s.summary.table()
	whole := func(r energy.Rollup) *energy.Row {
		return &energy.Row{Period: energy.Period{Start: s.span.From, End: s.span.To, Rollup: r}}
	}
	total := siteRow{site: s.site, joint: whole(s.rollup)}
	for i := range s.rollups {
		total.parts = append(total.parts, whole(s.rollups[i]))
	}
	for name, f := range rowColumns {
		t.Totals[name] = Number(total.beside(name, f, s.span.To))
	}
	return t
}

// incomplete are the columns that are null somewhere because a device does not know its part, by device.
type incomplete map[string][]string

// add adds a column that lacks the parts of some devices, if another one has data: a time of which nothing is known is empty,
// not incomplete.
func (all incomplete) add(site *deviceinfo.Site, column string, lacking []int, hasData func(i int) bool) {
	another := false
	for i := range site.Members {
		another = another || !slices.Contains(lacking, i) && hasData(i)
	}
	for _, i := range lacking {
		id := site.Members[i].ID
		if at, found := slices.BinarySearch(all[id], column); another && !found {
			all[id] = slices.Insert(all[id], at, column)
		}
	}
}

// siteRow is a row of each device of a site, and what they have together at the same time.
type siteRow struct {
	site  *deviceinfo.Site
	parts []*energy.Row
	joint *energy.Row
}

// inBalance has the energies that add up whatever the devices share, and with which sign they are in the load of the house.
var inBalance = [energy.Energies]float64{energy.PV: 1, energy.Discharge: 1, energy.Import: 1, energy.Charge: -1, energy.Export: -1}

// kwh returns an energy of all devices together, and which of them do not know their part.
func (r *siteRow) kwh(e int) (kwh float64, from energy.Source, lacking []int) {
	switch {
	case !r.site.Shared() || inBalance[e] != 0:
		return r.sum(e)
	case e == energy.Load:
		return r.rest()
	}
	if kwh, from = r.joint.KWh(e); from == energy.Unknown {
		_, _, lacking = r.rest()
	}
	return kwh, from, lacking
}

// sum returns the sum of an energy of the devices that have it.
func (r *siteRow) sum(e int) (kwh float64, from energy.Source, lacking []int) {
	for i, m := range r.site.Members {
		part, source := r.parts[i].KWh(e)
		switch {
		case !m.Meter && (e == energy.Import || e == energy.Export):
		case source != energy.Unknown:
			kwh, from = kwh+part, from.With(source)
		case m.Battery || !slices.Contains(ofBatteries, e):
			lacking = append(lacking, i)
		}
	}
	if lacking != nil {
		from = energy.Unknown
	}
	return kwh, from, lacking
}

// ofBatteries are the energies that a device without a battery does not have.
var ofBatteries = []int{energy.Charge, energy.Discharge, energy.SolarBattery, energy.BatteryHome, energy.BatteryGrid, energy.GridBattery}

// derived is the source of a load that remains of sums.
const derived = energy.Mixed + 1

// What a load may be below 0 because counters rise by steps and powers are read at different times. One below that is not
// known: another generator is behind the meter.
const (
	noiseKWh = 0.2
	noiseKW  = 0.05
)

// rest returns the load that remains of the other energies.
func (r *siteRow) rest() (kwh float64, from energy.Source, lacking []int) {
	from = derived
	for e, sign := range inBalance {
		if sign == 0 {
			continue
		}
		part, source, some := r.sum(e)
		lacking = append(lacking, some...)
		if source != energy.Unknown {
			kwh += sign * part
		} else if some != nil || !slices.Contains(ofBatteries, e) {
			from = energy.Unknown
		}
	}
	if kwh < -noiseKWh-noiseKW*r.joint.End.Sub(r.joint.Start).Hours() {
		from = energy.Unknown
	}
	return max(kwh, 0), from, lacking
}

// spread returns how much of an energy counters rose in gaps across the borders of the row, NaN if none of them counts.
func (r *siteRow) spread(e, counter int) float64 {
	sum, any := 0.0, false
	for i, m := range r.site.Members {
		if _, from := r.parts[i].KWh(e); from == energy.Counted && (m.Meter || e != energy.Import && e != energy.Export) {
			sum, any = sum+r.parts[i].Metered[counter].Spread, true
		}
	}
	return known(sum, any)
}

// beside returns a column that does not add up, f of a device, of all devices together.
func (r *siteRow) beside(name string, f func(*energy.Period, time.Time) float64, now time.Time) float64 {
	of := r.parts
	switch name {
	case "self_consumption_pct", "self_sufficiency_pct":
		if r.site.Shared() {
			return f(&r.joint.Period, now)
		}
		return r.share(name)
	case "pv_peak_w", "pv_peak_at", "pv_max_w":
		if len(r.parts) > 1 {
			return f(&r.joint.Period, now)
		}
	case "import_peak15_w", "import_peak15_at":
		if of = r.having(func(m deviceinfo.Member) bool { return m.Meter }); len(of) > 1 {
			return f(&r.joint.Period, now)
		}
	case "load_coverage", "flows_coverage":
		if r.site.Shared() {
			return f(&r.joint.Period, now)
		}
	case "grid_coverage":
		of = r.having(func(m deviceinfo.Member) bool { return m.Meter })
	case "battery_coverage":
		of = r.having(func(m deviceinfo.Member) bool { return m.Battery })
	}
	if len(of) == 0 {
		return f(&energy.Period{Start: r.joint.Start, End: r.joint.End}, now)
	}
	least := f(&of[0].Period, now)
	for _, p := range of[1:] {
		least = min(least, f(&p.Period, now))
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

func (r *siteRow) having(has func(deviceinfo.Member) bool) (some []*energy.Row) {
	for i, m := range r.site.Members {
		if has(m) {
			some = append(some, r.parts[i])
		}
	}
	return some
}
