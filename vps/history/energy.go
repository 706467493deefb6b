package history

import (
	"cmp"
	"slices"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/problem"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/vps/tariff"
)

// maxEnergyRows is a little more than a year of hours.
const maxEnergyRows = 10_000

// firstCompared is the first year that a span is compared with. There is no data of those before 2010, but a year's rows are
// compared with as many.
const firstCompared = 1900

// energyAnswer is the answer of GET /v1/energy.
type energyAnswer struct {
	DeviceID   string `json:"device_id,omitempty"` // or the site
	Site       string `json:"site,omitempty"`
	Resolution string `json:"resolution"`
	TZ         string `json:"tz"`
	energyTable
	Compare *comparison `json:"compare,omitempty"`
}

// energyTable has one entry per period in each of its columns.
type energyTable struct {
	Labels  []string          `json:"labels"` // in local time, for people
	From    []int64           `json:"from"`   // start of the period, unix seconds
	Columns columns           `json:"columns"`
	Source  map[string]source `json:"source"`
	Totals  map[string]Number `json:"totals"`
	Until   int64             `json:"until"` // unix seconds; now, when the last period is running

	// Incomplete are, of a site, the columns that are null in a row because a device does not know its part.
	Incomplete incomplete `json:"incomplete,omitzero"`
}

type comparison struct {
	Mode        string `json:"mode"`
	SameElapsed bool   `json:"same_elapsed"` // cut where the running period is now
	energyTable
}

// source is where a column comes from, null when it is not known.
type source energy.Source

func (s source) MarshalJSON() ([]byte, error) {
	return []byte([]string{`null`, `"counter"`, `"integrated"`, `"mixed"`, `"derived"`}[s]), nil
}

// EnergyColumns name the energies.
var EnergyColumns = [energy.Energies]string{
	energy.PV: "pv_kwh", energy.Load: "load_kwh", energy.Import: "import_kwh", energy.Export: "export_kwh",
	energy.Charge: "charge_kwh", energy.Discharge: "discharge_kwh",
	energy.SolarHome: "solar_home_kwh", energy.SolarBattery: "solar_battery_kwh", energy.SolarGrid: "solar_grid_kwh",
	energy.BatteryHome: "battery_home_kwh", energy.BatteryGrid: "battery_grid_kwh",
	energy.GridHome: "grid_home_kwh", energy.GridBattery: "grid_battery_kwh", energy.Unaccounted: "unaccounted_kwh",
	energy.Other: "other_generation_kwh",
}

// calendars are the resolutions of energy: the period of a row, the frame that is answered when no from is given, and
// how a row is labelled.
var calendars = map[string]struct {
	row   store.Resolution
	frame store.Resolution // "" since the first sample
	label string
}{
	"hour":  {store.Hour, store.Day, time.RFC3339},
	"day":   {store.Day, store.Month, time.DateOnly},
	"month": {store.Month, store.Year, "2006-01"},
	"year":  {store.Year, "", "2006"},
}

func (h *History) Energy(c *request.Request) (any, error) {
	params, device, site, err := h.Asked(c)
	if err != nil {
		return nil, err
	}
	devices := []string{device}
	if site != nil {
		devices = site.IDs()
	}
	name := cmp.Or(query.Last(params, "resolution"), "day")
	calendar, ok := calendars[name]
	if !ok {
		return nil, problem.Invalid("bad_resolution", "Input should be hour, day, month or year", "query", "resolution")
	}
	mode := query.Last(params, "compare")
	if mode != "" && mode != "previous" && mode != "last_year" {
		return nil, problem.Invalid("bad_compare", "Input should be previous or last_year", "query", "compare")
	}
	sp, err := h.parseRange(c, devices[0], params, calendar.frame)
	if err != nil {
		return nil, err
	}
	if sp, err = h.withDefaults(c, sp, calendar.frame, devices...); err != nil {
		return nil, err
	}
	now := h.Now()
	sp = sp.AlignTo(calendar.row)
	whole := sp
	if _, end := calendar.row.Period(now, sp.Zone); sp.To.After(end) {
		sp.To = end // future periods have no row
	}

	answer := energyAnswer{DeviceID: device, Resolution: name, TZ: sp.Zone.String()}
	if site != nil {
		answer.Site = site.Name
	}
	prices := h.Tariff.Now()
	table := func(sp query.Span) (energyTable, error) {
		if site != nil {
			return h.siteTable(c, site, sp, calendar.row, calendar.label, now, prices)
		}
		return h.energyTable(c, device, sp, calendar.row, calendar.label, now, prices)
	}
	if answer.energyTable, err = table(sp); err != nil || mode == "" {
		return answer, err
	}
	before, elapsed := whole.ComparedWith(mode, now)
	if before.From.Year() < firstCompared {
		return nil, problem.New(422, "too_long", "The span is too long to be compared with the one before it.").WithNext("ask for a shorter span, or without compare")
	}
	answer.Compare = &comparison{Mode: mode, SameElapsed: elapsed}
	answer.Compare.energyTable, err = table(before)
	return answer, err
}

// energyTable returns the energies of the periods of sp, which are computed some at once.
func (h *History) energyTable(c *request.Request, device string, sp query.Span, r store.Resolution, label string, now time.Time, prices *tariff.Tariff) (t energyTable, err error) {
	starts, err := h.periodStarts(c, sp, r, maxEnergyRows)
	if err != nil {
		return t, err
	}
	n := max(0, len(starts)-1)
	sum := newSummary(sp.Until(now), n)
	var bills []bill
	for i := 0; i < n; i += request.RowsAtOnce {
		end := min(i+request.RowsAtOnce, n)
		var rows []energy.Row
		err := h.Step(c, func() (err error) {
			if rows, err = h.Rows(c, device, query.Span{From: starts[i], To: starts[end], Zone: sp.Zone}, r); err == nil {
				sum.add(rows, label)
			}
			return err
		})
		if err == nil && prices != nil {
			var some []bill
			some, err = h.bills(c, device, rows, sp, r, prices.Of(device), sum.span.To)
			bills = append(bills, some...)
		}
		if err != nil {
			return t, err
		}
	}
	if prices != nil {
		spread := slices.ContainsFunc(bills, func(b bill) bool { return b.spread > 0 })
		sum.addMoney(len(bills), prices.Of(device).HasFees(), spread, func(row int, name string) float64 { return moneyColumns[name](&bills[row]) })
	}
	return sum.table(), nil
}

// summary makes a table of rows that are added in their order.
type summary struct {
	energyTable
	span   query.Span
	rollup energy.Rollup // of all
	kwh    [energy.Energies]float64
	from   [energy.Energies]energy.Source
	spread [energy.Energies]struct { // how much of a counter's rise happened at an unknown time
		column column
		total  float64
	}
}

func newSummary(sp query.Span, n int) *summary {
	s := &summary{span: sp, energyTable: energyTable{Labels: make([]string, 0, n), From: make([]int64, 0, n), Until: sp.To.Unix(),
		Columns: columns{}, Source: map[string]source{}, Totals: map[string]Number{}}}
	for _, name := range EnergyColumns {
		s.Columns[name] = make(column, 0, n)
	}
	for name := range rowColumns {
		s.Columns[name] = make(column, 0, n)
	}
	return s
}

func (s *summary) add(rows []energy.Row, label string) {
	for i := range rows {
		s.Labels, s.From = append(s.Labels, rows[i].Start.Format(label)), append(s.From, rows[i].Start.Unix())
		for name, f := range rowColumns {
			s.Columns[name] = append(s.Columns[name], f(&rows[i].Period, s.span.To))
		}
	}
	for e, name := range EnergyColumns {
		kwh, total, from := energy.Column(rows, e)
		s.Columns[name] = append(s.Columns[name], rounded(kwh, 3)...)
		s.kwh[e] += total
		s.from[e] = s.from[e].With(from)
		k, ok := energy.Meter(e)
		for i := range rows {
			if !ok {
				break
			}
			v := unknown
			if _, from := rows[i].KWh(e); from == energy.Counted {
				v = round(rows[i].Metered[k].Spread, 3)
				s.spread[e].total += rows[i].Metered[k].Spread
			}
			s.spread[e].column = append(s.spread[e].column, v)
		}
	}
	s.rollup.Gather(rows)
}

func (s *summary) table() energyTable {
	for e, name := range EnergyColumns {
		s.Source[name] = source(s.from[e])
		s.Totals[name] = Number(round(known(s.kwh[e], s.from[e] != energy.Unknown), 3))
		if spread := &s.spread[e]; spread.total > 0 {
			s.Columns["spread_"+name], s.Totals["spread_"+name] = spread.column, Number(round(spread.total, 3))
		}
	}
	total := energy.Period{Start: s.span.From, End: s.span.To, Rollup: s.rollup}
	for name, f := range rowColumns {
		s.Totals[name] = Number(f(&total, s.span.To))
	}
	return s.energyTable
}

// rowColumns are the columns of a period beside its energies.
var rowColumns = map[string]func(p *energy.Period, now time.Time) float64{
	"self_consumption_pct": func(p *energy.Period, _ time.Time) float64 { return percent(p.SelfConsumption()) },
	"self_sufficiency_pct": func(p *energy.Period, _ time.Time) float64 { return percent(p.SelfSufficiency()) },
	"pv_peak_w":            func(p *energy.Period, _ time.Time) float64 { return known(round(p.PVMax, 1), p.Rows > 0) },
	"pv_peak_at":           func(p *energy.Period, _ time.Time) float64 { return known(float64(p.PVMaxAt/1000), p.Rows > 0) },
	"import_peak15_w": func(p *energy.Period, now time.Time) float64 {
		q, ok := p.Peak(now)
		mean, _ := q.Mean()
		return known(round(mean, 1), ok)
	},
	"import_peak15_at": func(p *energy.Period, now time.Time) float64 {
		q, ok := p.Peak(now)
		return known(float64(q.Start/1000), ok)
	},
	"coverage":         coverage(energy.KnowsPV, 4),
	"load_coverage":    coverage(energy.KnowsLoad, 4),
	"grid_coverage":    coverage(energy.KnowsGrid, 4),
	"battery_coverage": coverage(energy.KnowsBattery, 4),
	"flows_coverage":   coverage(energy.KnowsFlows, 4),
}

// coverage returns the part of a period that is measured.
func coverage(knows, digits int) func(*energy.Period, time.Time) float64 {
	return func(p *energy.Period, now time.Time) float64 { return round(p.Coverage(knows, now), digits) }
}

func percent(part float64, ok bool) float64 { return known(round(100*part, 1), ok) }
