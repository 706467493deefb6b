package history

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"sunspool/vps/deviceinfo"
	"sunspool/vps/energy"
	"sunspool/vps/problem"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

var (
	errFrameOfSite   = problem.New(422, "bad_frame", "A site has no frames.").WithNext("ask with from, to and resolution in place of frame")
	errRawOfSite     = problem.Invalid("bad_resolution", "Input should be auto, 1m, 5m, 15m, 1h, 1d, 1M or 1y: a site has no samples", "query", "resolution")
	errStringsOfSite = problem.Invalid("columns", "Input should be no inputs of an inverter: ask for them by device_id", "query", "columns")
)

// siteMeans returns the mean powers of all devices of a site together.
func (h *History) siteMeans(c *request.Request, site *deviceinfo.Site, params url.Values) (any, error) {
	sp, names, resolution, err := h.askedMeans(c, params, site.IDs()...)
	switch {
	case err != nil:
		return nil, err
	case resolution == rawResolution:
		return nil, errRawOfSite
	case slices.ContainsFunc(names, isString):
		return nil, errStringsOfSite
	}
	starts, err := h.periodStarts(c, sp, resolution, max(1, maxPoints/len(site.Members)))
	if err != nil {
		return nil, err
	}
	n, now := max(0, len(starts)-1), h.Now()
	answer := newMeans(sp, string(resolution), n)
	answer.Site, answer.Incomplete = site.Name, incomplete{}
	answer.place(resolution, starts[:n])
	for _, name := range names {
		if isDerived(name) || name == "load_w" && site.Shared() {
			answer.Quality[name] = "derived"
		}
		answer.Columns[name] = make(column, 0, n)
	}
	gaps := make([]emptyFinder, len(site.Members))
	for i := range gaps {
		gaps[i].end = sp.Until(now).To
	}
	slot := store.FiveMinutes
	if resolution == store.Minute {
		slot = store.Minute
	}
	err = h.eachRow(c, site, starts, slot, siteRow{site: site, value: watts, noise: 1000 * noiseKW}, now, func(part []time.Time, digests []store.Digest) ([][]energy.Row, error) {
		all := make([][]energy.Row, len(site.Members))
		for m := range all {
			q := store.Query{Device: site.Members[m].ID, Resolution: resolution, Zone: sp.Zone}
			periods, partial, err := h.closedPeriods(c, q, part, now, digestOf(digests, m))
			if err != nil {
				return nil, err
			}
			answer.PartialLast = answer.PartialLast || partial
			gaps[m].add(periods)
			all[m] = make([]energy.Row, len(periods))
			for i := range periods {
				all[m][i].Period = periods[i]
			}
		}
		return all, nil
	}, func(row *siteRow) {
		for _, name := range names {
			v, lacking := row.mean(name, now)
			answer.Incomplete.add(row, name, lacking)
			answer.Columns[name] = append(answer.Columns[name], v)
		}
	})
	if err != nil {
		return nil, err
	}
	for m, member := range site.Members {
		some := gaps[m].all()
		if err := h.explain(c, member.ID, some); err != nil {
			return nil, err
		}
		for _, gap := range some {
			gap.Device = member.ID
			answer.Gaps = append(answer.Gaps, gap)
		}
	}
	return answer, nil
}

// watts returns a mean power of a row.
func watts(r *energy.Row, e int) (float64, energy.Source) {
	if v, ok := r.Mean(e); ok && r.HasData() {
		return v, energy.Integrated
	}
	return 0, energy.Unknown
}

// mean returns a mean power of all devices together, NaN if it is not known, and which devices do not know their part.
func (r *siteRow) mean(name string, now time.Time) (float64, []int) {
	switch {
	case name == "pv_max_w" || strings.HasSuffix(name, "coverage"):
		return r.beside(name, means[name], now), nil
	case name == "soc_pct":
		return round(r.site.SOC(func(i int) (float64, bool) { return r.parts[i].MeanSOC() }), 1), nil
	case name == "grid_w":
		return r.difference(energy.Import, energy.Export)
	case name == "battery_w":
		return r.difference(energy.Charge, energy.Discharge)
	}
	v, from, lacking := r.of(slices.Index(EnergyColumns[:], strings.TrimSuffix(name, "w")+"kwh"))
	return round(known(v, from != energy.Unknown), 1), lacking
}

// difference returns a power less its opposite, which are known at the same time.
func (r *siteRow) difference(plus, minus int) (float64, []int) {
	a, from, lacking := r.of(plus)
	b, _, _ := r.of(minus)
	return round(known(a-b, from != energy.Unknown), 1), lacking
}

// SiteNow is what a site's devices have together by one sample of each.
type SiteNow struct {
	row        siteRow
	Incomplete map[string][]string // as columns of a series lack the parts of devices, by the names that Watts was given
}

// NowOf returns what the devices of a site have by these samples, nil for those that have none.
func NowOf(site *deviceinfo.Site, samples []*wire.Sample) *SiteNow {
	n := SiteNow{row: siteRow{site: site, value: watts, noise: 1000 * noiseKW, joint: new(energy.Row)}, Incomplete: incomplete{}}
	var all energy.Together
	for i, m := range site.Members {
		row := new(energy.Row)
		if samples[i] != nil {
			row.Period = energy.Instant(samples[i])
			all.Add(energy.Part{Period: &row.Period, Meter: m.Meter, Battery: m.Battery})
			n.row.joint.Start, n.row.joint.End = row.Start, row.End
		}
		n.row.parts = append(n.row.parts, row)
	}
	if all.Parts == len(samples) {
		n.row.joint.AddTogether(&all)
	}
	return &n
}

// Watts returns a column of a series, which is called name in the answer; nil if it is not known.
func (n *SiteNow) Watts(name, column string) *float64 {
	v, lacking := n.row.mean(column, time.Time{})
	incomplete(n.Incomplete).add(&n.row, name, lacking)
	if v != v {
		return nil
	}
	return &v
}
