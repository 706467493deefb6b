package history

import (
	"time"

	"sunspool/vps/deviceinfo"
	"sunspool/vps/energy"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/vps/tariff"
)

// siteTable returns the energies of the periods of sp, of all devices of a site together, and what they cost.
func (h *History) siteTable(c *request.Request, site *deviceinfo.Site, sp query.Span, r store.Resolution, label string, now time.Time, prices *tariff.Tariff) (t energyTable, err error) {
	starts, err := h.periodStarts(c, sp, r, max(1, maxEnergyRows/len(site.Members)))
	if err != nil {
		return t, err
	}
	s := siteSummary{summary: newSummary(sp.Until(now), max(0, len(starts)-1)), rollups: make([]energy.Rollup, len(site.Members))}
	s.Incomplete = incomplete{}
	row := siteRow{site: site, value: (*energy.Row).KWh}
	var money *siteMoney
	if prices != nil && len(starts) > 1 {
		money = newSiteMoney(site, prices, starts, query.Span{To: s.span.To, Zone: sp.Zone})
	}
	err = h.eachRow(c, site, starts, store.FiveMinutes, row, now, h.energiesOfMembers(c, site, r, sp.Zone), func(row *siteRow) {
		row.noise = noiseOf(row)
		if s.add(row, label); money != nil {
			money.add(len(s.Labels)-1, row)
		}
	})
	if err == nil && money != nil {
		if err = h.siteBills(c, money, r, s.span.To); err == nil {
			s.addSiteMoney(money)
		}
	}
	return s.table(&row), err
}

// SiteDay returns the energies of a day that add up, and the load, of all devices of a site together; nil for those that one of
// them does not know.
func (h *History) SiteDay(c *request.Request, site *deviceinfo.Site, day query.Span) (kwh [energy.Energies]*float64, err error) {
	row := siteRow{site: site, value: (*energy.Row).KWh}
	err = h.eachRow(c, site, []time.Time{day.From, day.To}, "", row, h.Now(), h.energiesOfMembers(c, site, store.Day, day.Zone), func(row *siteRow) {
		row.noise = noiseOf(row)
		for e := range kwh {
			if e != energy.Load && inBalance[e] == 0 {
				continue
			}
			if v, from, _ := row.of(e); from != energy.Unknown {
				kwh[e] = &v
			}
		}
	})
	return kwh, err
}

// energiesOfMembers returns what reads rows of the devices of a site.
func (h *History) energiesOfMembers(c *request.Request, site *deviceinfo.Site, r store.Resolution, zone *time.Location) func([]time.Time, []store.Digest) ([][]energy.Row, error) {
	return func(starts []time.Time, _ []store.Digest) ([][]energy.Row, error) {
		all := make([][]energy.Row, len(site.Members))
		err := h.eachRows(c, site.IDs(), starts, store.Query{Resolution: r, Zone: zone}, func(m int, rows []energy.Row, _ query.Span) { all[m] = rows })
		return all, err
	}
}

// What a load that remains of sums may be below 0, because counters rise by steps and powers are read at different times. One
// below that is not known: another generator is behind the meter.
const (
	noiseKWh = 0.2
	noiseKW  = 0.05
)

func noiseOf(row *siteRow) float64 {
	return noiseKWh + noiseKW*row.joint.End.Sub(row.joint.Start).Hours()
}

// siteSummary makes a table of the rows of several devices.
type siteSummary struct {
	*summary
	rollups []energy.Rollup // of all rows of each device
}

func (s *siteSummary) add(row *siteRow, label string) {
	s.Labels, s.From = append(s.Labels, row.joint.Start.Format(label)), append(s.From, row.joint.Start.Unix())
	for e, name := range EnergyColumns {
		kwh, from, lacking := row.of(e)
		s.Columns[name] = append(s.Columns[name], round(known(kwh, from != energy.Unknown), 3))
		s.Incomplete.add(row, name, lacking)
		spread := unknown
		if from != energy.Unknown {
			s.kwh[e], s.from[e] = s.kwh[e]+kwh, s.from[e].With(from)
			if spread = row.spread(e); spread == spread {
				s.spread[e].total += spread
			}
		}
		s.spread[e].column = append(s.spread[e].column, round(spread, 3))
	}
	for name, f := range rowColumns {
		s.Columns[name] = append(s.Columns[name], row.beside(name, f, s.span.To))
	}
	for i, p := range row.parts {
		s.rollups[i].GatherRow(p)
	}
	s.rollup.GatherRow(row.joint)
}

func (s *siteSummary) table(total *siteRow) energyTable {
	t := s.summary.table()
	total.parts = nil
	whole := func(r *energy.Rollup) *energy.Row {
		row := new(energy.Row)
		row.Start, row.End = s.span.From, s.span.To
		row.Rollup = *r
		return row
	}
	for i := range s.rollups {
		total.parts = append(total.parts, whole(&s.rollups[i]))
	}
	total.joint = whole(&s.rollup)
	for name, f := range rowColumns {
		t.Totals[name] = Number(total.beside(name, f, s.span.To))
	}
	return t
}
