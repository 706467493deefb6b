package history

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"sunspool/vps/deviceinfo"
	"sunspool/vps/energy"
	"sunspool/vps/problem"
	"sunspool/vps/request"
	"sunspool/vps/store"
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
	if n == 0 {
		return answer, nil
	}
	if err := h.Weigh(c, n*len(site.Members)); err != nil {
		return nil, err
	}
	asleep, err := h.sleeps(c, site, sp.Until(now))
	if err != nil {
		return nil, err
	}
	slot := store.FiveMinutes
	if resolution == store.Minute {
		slot = store.Minute
	}
	joint, err := h.joint(c, site, starts, slot, asleep, now)
	if err != nil {
		return nil, err
	}
	if joint == nil {
		joint = consecutive(starts, nil)
	}
	gaps := make([]emptyFinder, len(site.Members))
	for i := range gaps {
		gaps[i].end = sp.Until(now).To
	}
	atOnce := max(1, request.RowsAtOnce/len(site.Members))
	for i := 0; i < n; i += atOnce {
		part := starts[i : min(i+atOnce, n)+1]
		err := h.Step(c, func() error {
			all := make([][]energy.Period, len(site.Members))
			for m, member := range site.Members {
				found, err := h.Periods(c, store.Query{Device: member.ID, From: part[0], To: part[len(part)-1], Resolution: resolution, Zone: sp.Zone})
				if err != nil {
					return err
				}
				if last := len(found) - 1; last >= 0 {
					answer.PartialLast = answer.PartialLast || found[last].End.After(now)
				}
				all[m] = consecutive(part, found)
				gaps[m].add(all[m])
			}
			for k := range len(part) - 1 {
				row := siteRow{site: site, joint: &energy.Row{Period: joint[i+k]}}
				for m := range all {
					asleep.darken(m, &all[m][k])
					row.parts = append(row.parts, &energy.Row{Period: all[m][k]})
				}
				for _, name := range names {
					answer.addOfSite(&row, name, now)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
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
	slices.SortStableFunc(answer.Gaps, func(a, b EmptySpan) int { return cmp.Compare(a.From, b.From) })
	return answer, nil
}

// addOfSite appends to a column the value of a row.
func (a *meansAnswer) addOfSite(r *siteRow, name string, now time.Time) {
	v, lacking := r.mean(name, now)
	if v != v {
		a.Incomplete.add(r.site, name, lacking, func(i int) bool { return r.parts[i].HasData() })
	}
	a.Columns[name] = append(a.Columns[name], v)
}

// mean returns a mean power of all devices together, NaN if it is not known, and which devices do not know their part.
func (r *siteRow) mean(name string, now time.Time) (v float64, lacking []int) {
	shared := r.site.Shared()
	switch {
	case name == "pv_max_w" || strings.HasSuffix(name, "coverage"):
		return r.beside(name, means[name], now), nil
	case name == "soc_pct":
		soc := r.site.SOC(func(i int) (float64, bool) { return r.parts[i].MeanSOC() })
		if soc == nil {
			return unknown, nil
		}
		return round(*soc, 1), nil
	case shared && name == "load_w":
		return r.meanRest(now)
	case shared && isDerived(name):
		if v = unknown; r.joint.HasData() {
			v = means[name](&r.joint.Period, now)
		}
		if v != v {
			_, lacking = r.meanRest(now)
		}
		return v, lacking
	}
	return r.sumOfMeans(name, now)
}

// meansOfGrid and meansOfBatteries are columns in which a device without a meter or a battery has no part.
var (
	meansOfGrid      = []string{"grid_w", "import_w", "export_w"}
	meansOfBatteries = []string{"battery_w", "solar_battery_w", "battery_home_w", "battery_grid_w", "grid_battery_w"}
)

// sumOfMeans returns the sum of a mean power of the devices that have it.
func (r *siteRow) sumOfMeans(name string, now time.Time) (v float64, lacking []int) {
	any := false
	for i, m := range r.site.Members {
		part := unknown
		if r.parts[i].HasData() {
			part = means[name](&r.parts[i].Period, now)
		}
		switch {
		case !m.Meter && slices.Contains(meansOfGrid, name):
		case part == part:
			v, any = v+part, true
		case m.Battery || !slices.Contains(meansOfBatteries, name):
			lacking = append(lacking, i)
		}
	}
	return round(known(v, any && lacking == nil), 1), lacking
}

// meanRest returns the load that remains of the other powers.
func (r *siteRow) meanRest(now time.Time) (v float64, lacking []int) {
	pv, some := r.sumOfMeans("pv_w", now)
	grid, others := r.sumOfMeans("grid_w", now)
	battery, more := r.sumOfMeans("battery_w", now)
	if battery != battery && more == nil {
		battery = 0 // there is none
	}
	if v = pv + grid - battery; v < -1000*noiseKW {
		v = unknown
	}
	return round(max(v, 0), 1), slices.Concat(some, others, more)
}
