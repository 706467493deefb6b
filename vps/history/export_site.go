package history

import (
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/problem"
	"sunspool/vps/query"
	"sunspool/vps/store"
)

var errRawExport = problem.Invalid("bad_resolution", "Input should be 5m, 15m, 1h or 1d: a site has no samples, each of its devices has", "query", "resolution").
	WithNext("ask for the samples of a device: device_id in place of site; GET /v1/sites lists them")

const (
	siteDays  = 30  // of an export of a site that are computed at once
	slotsADay = 300 // at most, of five minutes: a day may have 25 hours

	slotsOfPage = 100_000 // of all devices
)

// site writes a line for each period of which one of the devices has data: what they have together, and how many have data.
// It has no counters, whose sum jumps whenever one of them is not heard of.
func (e *export) site() error {
	e.begin()
	for _, cell := range exportCells {
		e.cell(cell.name)
	}
	for _, name := range EnergyColumns {
		e.cell(name)
	}
	for _, name := range exportCoverages {
		e.cell(name)
	}
	e.cell("devices")
	now := e.h.Now()
	days := max(1, min(exportResolutions[e.resolution], siteDays, slotsOfPage/slotsADay/len(e.devices)))
	return e.pages(days, func(page query.Span) error {
		starts, err := page.PeriodStarts(e.resolution, maxEnergyRows)
		if err != nil {
			return err
		}
		row := siteRow{site: e.members}
		return e.h.eachRow(e.c, e.members, starts, store.FiveMinutes, row, now, e.h.energiesOfMembers(e.c, e.members, e.resolution, page.Zone),
			func(row *siteRow) { e.periodOfSite(row, now) })
	})
}

// periodOfSite writes a line, unless no device has data of the period.
func (e *export) periodOfSite(row *siteRow, now time.Time) {
	row.value, row.noise = (*energy.Row).KWh, noiseOf(row)
	var kwh [energy.Energies]float64
	some, devices, samples := false, 0, int64(0)
	for i := range kwh {
		v, from, _ := row.of(i)
		kwh[i] = round(known(v, from != energy.Unknown), 4)
		some = some || kwh[i] > 0
	}
	for _, p := range row.parts {
		if p.HasData() {
			devices++
		}
		samples += p.Rows
	}
	if !some && devices == 0 {
		return
	}
	row.value, row.noise = watts, 1000*noiseKW
	e.times(row.joint.Start)
	e.number(float64(samples))
	e.number(row.beside("coverage", rowColumns["coverage"], now))
	for _, cell := range exportCells[2:] {
		v, _ := row.mean(cell.name, now)
		e.number(v)
	}
	for _, v := range kwh {
		e.number(v)
	}
	for _, name := range exportCoverages {
		e.number(row.beside(name, rowColumns[name], now))
	}
	e.number(float64(devices))
}
