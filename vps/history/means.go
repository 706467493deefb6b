package history

import (
	"context"
	"maps"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/problem"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

// A series that is not a frame: mean powers over any span, in columns.

const (
	maxPoints  = 20_000         // periods in one answer
	maxMinutes = 48 * time.Hour // of a series by minutes, which is computed from samples
	maxRaw     = 6 * time.Hour  // of a series of samples

	rawResolution = "raw"
)

// meansAnswer is the answer of GET /v1/series with from, to or resolution.
type meansAnswer struct {
	DeviceID    string    `json:"device_id,omitempty"` // or the site
	Site        string    `json:"site,omitempty"`
	From        time.Time `json:"from"` // in the zone, of whole periods
	To          time.Time `json:"to"`
	Resolution  string    `json:"resolution"`
	ResolutionS int64     `json:"resolution_s,omitempty"` // when every period is as long
	Start       int64     `json:"start"`                  // unix seconds
	Count       int       `json:"count"`
	T           []float64 `json:"t,omitempty"` // when periods are not all as long: where each begins
	TZ          struct {
		Name    string     `json:"name"`
		Offsets [][2]int64 `json:"offsets"` // from which time on, and how far ahead of UTC, s
	} `json:"tz"`
	Columns     columns           `json:"columns"`
	Quality     map[string]string `json:"quality"`
	Gaps        []EmptySpan       `json:"gaps"`
	PartialLast bool              `json:"partial_last"` // the last period with samples is not over
	Incomplete  incomplete        `json:"incomplete,omitzero"`
}

// means are the columns of such a series: means over the time for which there are samples, W.
var means = map[string]func(p *energy.Period, now time.Time) float64{
	"pv_w":         mean(energy.PV),
	"load_w":       mean(energy.Load),
	"import_w":     mean(energy.Import),
	"export_w":     mean(energy.Export),
	"grid_w":       balance(energy.Import, energy.Export),    // > 0 from the grid
	"battery_w":    balance(energy.Charge, energy.Discharge), // > 0 charging
	"solar_home_w": mean(energy.SolarHome), "solar_battery_w": mean(energy.SolarBattery), "solar_grid_w": mean(energy.SolarGrid),
	"battery_home_w": mean(energy.BatteryHome), "battery_grid_w": mean(energy.BatteryGrid),
	"grid_home_w": mean(energy.GridHome), "grid_battery_w": mean(energy.GridBattery), "unaccounted_w": mean(energy.Unaccounted),
	"soc_pct": func(p *energy.Period, _ time.Time) float64 {
		v, ok := p.MeanSOC()
		return round(known(v, ok), 1)
	},
	"pv_max_w":      func(p *energy.Period, _ time.Time) float64 { return round(known(p.PVMax, p.Rows > 0), 1) },
	"coverage":      coverage(energy.KnowsPV, 3),
	"load_coverage": coverage(energy.KnowsLoad, 3), "grid_coverage": coverage(energy.KnowsGrid, 3),
	"battery_coverage": coverage(energy.KnowsBattery, 3), "flows_coverage": coverage(energy.KnowsFlows, 3),
}

func mean(e int) func(*energy.Period, time.Time) float64 {
	return func(p *energy.Period, _ time.Time) float64 { v, ok := p.Mean(e); return round(known(v, ok), 1) }
}

func balance(plus, minus int) func(*energy.Period, time.Time) float64 {
	return func(p *energy.Period, _ time.Time) float64 {
		v, ok := p.Balance(plus, minus)
		return round(known(v, ok), 1)
	}
}

var (
	AllMeans     = slices.Sorted(maps.Keys(means))
	AllColumns   = slices.Concat(AllMeans, StringMeans)
	DefaultMeans = []string{"pv_w", "pv_max_w", "load_w", "battery_w", "grid_w", "soc_pct", "solar_home_w", "battery_home_w", "grid_home_w"}
)

// automatic is the finest resolution for spans up to a length.
var automatic = []struct {
	upTo       time.Duration
	resolution store.Resolution
}{
	{6 * time.Hour, store.Minute}, {50 * time.Hour, store.FiveMinutes}, {15 * 24 * time.Hour, store.Quarter},
	{100 * 24 * time.Hour, store.Hour}, {2000 * 24 * time.Hour, store.Day}, {math.MaxInt64, store.Month},
}

// askedMeans returns the span, the columns and the resolution of a question about devices.
func (h *History) askedMeans(c *request.Request, params url.Values, devices ...string) (sp query.Span, names []string, r store.Resolution, err error) {
	if sp, err = h.parseRange(c, devices[0], params, store.Day); err != nil {
		return sp, nil, "", err
	}
	if sp, err = h.withDefaults(c, sp, store.Day, devices...); err != nil {
		return sp, nil, "", err
	}
	if names, err = query.Columns(query.Last(params, "columns"), AllColumns, DefaultMeans); err != nil {
		return sp, nil, "", err
	}
	r = store.Resolution(query.Last(params, "resolution"))
	if r == "" || r == "auto" {
		for _, a := range automatic {
			if r = a.resolution; sp.To.Sub(sp.From) <= a.upTo {
				break
			}
		}
	}
	if r == rawResolution {
		return sp, names, r, nil
	}
	if !slices.Contains(query.Resolutions, r) {
		return sp, nil, "", problem.Invalid("bad_resolution", "Input should be auto, raw, 1m, 5m, 15m, 1h, 1d, 1M or 1y", "query", "resolution")
	}
	if sp = sp.AlignTo(r); r == store.Minute && sp.To.Sub(sp.From) > maxMinutes {
		return sp, nil, "", query.TooLong("at most 48 hours", store.FiveMinutes)
	}
	return sp, names, r, nil
}

func (h *History) means(c *request.Request, device string, params url.Values) (any, error) {
	sp, names, resolution, err := h.askedMeans(c, params, device)
	if err != nil {
		return nil, err
	}
	if resolution == rawResolution {
		return h.rawMeans(c, device, sp, names)
	}
	inputs := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !isString(name) })
	if len(inputs) > 0 {
		if sp.To.Sub(sp.From) > maxStringHours {
			return nil, errLongStrings
		}
		if err := h.Weigh(c, maxPoints); err != nil {
			return nil, err
		}
	}
	starts, err := h.periodStarts(c, sp, resolution, maxPoints)
	if err != nil {
		return nil, err
	}
	n := max(0, len(starts)-1)

	now := h.Now()
	answer := newMeans(sp, string(resolution), n)
	answer.DeviceID = device
	answer.place(resolution, starts[:n])
	for _, name := range names {
		if isDerived(name) {
			answer.Quality[name] = "derived"
		}
		answer.Columns[name] = make(column, 0, n)
	}
	gaps := emptyFinder{end: sp.Until(now).To, gaps: []EmptySpan{}}
	for i := 0; i < n; i += request.RowsAtOnce {
		part := starts[i : min(i+request.RowsAtOnce, n)+1]
		err := h.Step(c, func() error {
			q := store.Query{Device: device, From: part[0], To: part[len(part)-1], Resolution: resolution, Zone: sp.Zone}
			found, err := h.Periods(c, q)
			if err != nil {
				return err
			}
			if last := len(found) - 1; last >= 0 {
				answer.PartialLast = found[last].End.After(now)
			}
			periods := consecutive(part, found)
			for _, name := range names {
				if !isString(name) {
					answer.add(name, name, periods, now)
				}
			}
			gaps.add(periods)
			return h.addStrings(c, &answer, inputs, q, part)
		})
		if err != nil {
			return nil, err
		}
	}
	answer.Gaps = gaps.all()
	if err := h.explain(c, device, answer.Gaps); err != nil {
		return nil, err
	}
	return answer, nil
}

// place sets where the periods begin.
func (a *meansAnswer) place(r store.Resolution, starts []time.Time) {
	if length := fixedLength(r); length > 0 {
		a.ResolutionS = int64(length.Seconds())
		return
	}
	for _, start := range starts {
		a.T = append(a.T, float64(start.Unix()))
	}
}

// add appends to a column that mean of further periods.
func (a *meansAnswer) add(column, mean string, periods []energy.Period, now time.Time) {
	for i := range periods {
		v := unknown
		if periods[i].HasData() || strings.HasSuffix(mean, "coverage") {
			v = means[mean](&periods[i], now)
		}
		a.Columns[column] = append(a.Columns[column], v)
	}
}

// isDerived reports whether a column is computed from several measurements.
func isDerived(name string) bool {
	return isString(name) || strings.Count(name, "_") == 2 && strings.HasSuffix(name, "_w") && name != "pv_max_w" || name == "unaccounted_w"
}

func newMeans(sp query.Span, resolution string, n int) meansAnswer {
	a := meansAnswer{From: sp.From, To: sp.To, Resolution: resolution, Start: sp.From.Unix(), Count: n,
		Columns: columns{}, Quality: map[string]string{}, Gaps: []EmptySpan{}}
	a.TZ.Name = sp.Zone.String()
	for t := sp.From; ; {
		_, offset := t.Zone()
		if n := len(a.TZ.Offsets); n == 0 || a.TZ.Offsets[n-1][1] != int64(offset) {
			a.TZ.Offsets = append(a.TZ.Offsets, [2]int64{t.Unix(), int64(offset)})
		}
		if t = store.NextChange(t); t.IsZero() || !t.Before(sp.To) {
			break
		}
	}
	return a
}

// fixedLength returns how long each period of a resolution is; 0 for those that are longer or shorter when clocks are changed.
func fixedLength(r store.Resolution) time.Duration {
	switch r {
	case store.Minute, store.FiveMinutes, store.Quarter:
		return query.LongestPeriod(r)
	}
	return 0
}

// rawMeans returns the samples themselves.
func (h *History) rawMeans(c *request.Request, device string, sp query.Span, names []string) (any, error) {
	if sp.To.Sub(sp.From) > maxRaw {
		if query.Last(c.HTTP.URL.Query(), "from") != "" || query.Last(c.HTTP.URL.Query(), "to") != "" {
			return nil, query.TooLong("at most 6 hours", store.Minute)
		}
		sp.To = query.Earlier(sp.To, h.Now()) // without a span: the newest
		sp.From = query.Later(sp.From, sp.To.Add(-maxRaw))
	}
	if err := h.Weigh(c, maxPoints); err != nil {
		return nil, err
	}
	var samples []wire.Sample
	inputs := columns{}
	err := h.Step(c, func() error {
		_, err := request.Ask(h.Gate, c, "each", func(ctx context.Context) (struct{}, error) {
			return struct{}{}, h.Store.Each(ctx, device, sp.From, sp.To, func(sample wire.Sample) bool {
				for _, name := range names {
					if isString(name) {
						watts, ok := ofStrings[name].watts(&sample)
						inputs[name] = append(inputs[name], round(known(watts, ok), 1))
					}
				}
				sample.Values = nil
				samples = append(samples, sample)
				return len(samples) <= maxPoints
			})
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(samples) > maxPoints {
		return nil, query.TooLong("at most 20000 samples", store.Minute)
	}
	answer := newMeans(sp, rawResolution, len(samples))
	answer.DeviceID = device
	answer.T = make([]float64, len(samples))
	for _, name := range names {
		answer.Columns[name] = make(column, len(samples))
		copy(answer.Columns[name], inputs[name])
	}
	for i := range samples {
		p := energy.Instant(&samples[i])
		answer.T[i] = float64(samples[i].Time.UnixMilli()) / 1000
		for _, name := range names {
			if mean := means[name]; mean != nil {
				answer.Columns[name][i] = mean(&p, h.Now())
			}
		}
	}
	return answer, nil
}
