package history

import (
	"context"
	"errors"
	"time"

	"sunspool/vps/deviceinfo"
	"sunspool/vps/energy"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/vps/tariff"
	"sunspool/wire"
)

// The rules of the Belgian capacity tariff: it is paid for the mean of the peaks of twelve months, each of which counts as at
// least leastPeak.
const (
	countedMonths = 12
	leastPeak     = 2500.0 // W
	quarterMS     = 15 * 60_000
	mostMissing   = quarterMS / 10 // of a quarter-hour, for which it is still forecast
)

// PeaksAnswer is the answer of GET /v1/capacity.
type PeaksAnswer struct {
	DeviceID string          `json:"device_id"`
	TZ       string          `json:"tz"`
	Month    string          `json:"month"`
	LeastW   float64         `json:"least_w"`
	Months   []monthPeak     `json:"months"` // ascending, Month is the last
	MeanW    Number          `json:"mean_w"` // of what counts of the months that are known
	Quarter  *runningQuarter `json:"quarter,omitempty"`
	Cost     *capacityCost   `json:"cost,omitempty"`
}

type monthPeak struct {
	Month    string     `json:"month"`
	PeakW    Number     `json:"peak_w"` // the highest quarter-hour that is over and measured
	PeakTS   *time.Time `json:"peak_ts"`
	CountedW Number     `json:"counted_w"`
	Coverage Number     `json:"coverage"`
}

// runningQuarter is the quarter-hour that is not over. A forecast takes what is drawn now for the rest of it.
type runningQuarter struct {
	From        time.Time `json:"from"`
	To          time.Time `json:"to"`
	SoFarW      Number    `json:"so_far_w"`
	Coverage    Number    `json:"coverage"`
	NowW        Number    `json:"now_w"`
	ForecastW   Number    `json:"forecast_w"`
	HeadRoomW   Number    `json:"head_room_w"`   // that may be drawn until its end without raising what counts
	HeadRoomKWh Number    `json:"head_room_kwh"` // the same as an energy
}

type capacityCost struct {
	Currency     string `json:"currency"`
	PerKWYear    Number `json:"per_kw_year"`
	Month        Number `json:"month"`
	Year         Number `json:"year"`
	ForecastYear Number `json:"forecast_year"` // if the running quarter-hour becomes what is forecast
}

// Peaks answers what the peaks of the last twelve months are, what they cost, and how far the running quarter-hour is.
func (h *History) Peaks(c *request.Request) (any, error) {
	params, device, err := request.Readable(c, "device_id")
	if err != nil {
		return nil, err
	}
	now := h.Now()
	name := query.Last(params, "month")
	if name == "" {
		zone, err := h.ZoneOf(c, device)
		if err != nil {
			return nil, err
		}
		name = now.In(zone).Format("2006-01")
	}
	month, zone, err := h.monthOf(c, device, name)
	if err != nil {
		return nil, err
	}
	y, m := month.Year(), month.Month()
	start, end := store.Midnight(y, m, 1, zone), store.Midnight(y, m+1, 1, zone)
	sp := query.Span{From: store.Midnight(y, m+1-countedMonths, 1, zone), To: end, Zone: zone}
	starts, err := sp.PeriodStarts(store.Month, countedMonths)
	if err != nil {
		return nil, err
	}
	found, err := h.Periods(c, store.Query{Device: device, Resolution: store.Month, From: sp.From, To: sp.To, Zone: zone})
	if err != nil {
		return nil, err
	}

	answer := PeaksAnswer{DeviceID: device, TZ: zone.String(), Month: name, LeastW: leastPeak}
	earlier, months, counted := 0.0, 0.0, unknown // the sum of the months before, how many of them are known, and the last
	for _, p := range consecutive(starts, found) {
		if counted == counted {
			earlier, months = earlier+counted, months+1
		}
		row := monthPeak{Month: p.Start.In(zone).Format("2006-01"), PeakW: null, Coverage: number(p.Coverage(energy.KnowsGrid, now), 4)}
		counted = unknown
		if q, ok := p.Peak(now); ok {
			mean, _ := q.Mean()
			row.PeakW, row.PeakTS = number(mean, 1), new(time.UnixMilli(q.Start).UTC())
			counted = max(mean, leastPeak)
		}
		row.CountedW = number(counted, 1)
		answer.Months = append(answer.Months, row)
	}
	mean := earlier / months // NaN of none
	with := func(peak float64) float64 { return (earlier + peak) / (months + 1) }
	if counted == counted {
		mean = with(counted)
	}
	answer.MeanW = number(mean, 1)

	forecast := unknown
	if !now.Before(start) && now.Before(end) {
		limit := leastPeak
		if counted > limit {
			limit = counted
		}
		if answer.Quarter, err = h.runningQuarter(c, device, now, limit); err != nil {
			return nil, err
		}
		forecast = with(max(limit, float64(answer.Quarter.ForecastW)))
	}
	if t := h.Tariff.Now(); t != nil && t.Capacity == "be" {
		price := perKWYear(t.Of(device), start, end)
		year := func(w float64) float64 { return w / 1000 * price }
		answer.Cost = &capacityCost{t.Currency, number(price, 4), number(year(mean)/12, 4), number(year(mean), 4), number(year(forecast), 4)}
	}
	return answer, nil
}

// perKWYear returns the mean of what a kW costs on the days of a month, NaN if that of a day is not known.
func perKWYear(prices tariff.Schedule, from, to time.Time) float64 {
	sum, days := 0.0, 0.0
	for day := from; day.Before(to); _, day = store.Day.Period(day, from.Location()) {
		p := prices.On(day)
		if p == nil || p.Capacity == nil {
			return unknown
		}
		sum, days = sum+*p.Capacity, days+1
	}
	return sum / days
}

// runningQuarter returns how far the quarter-hour is that now is in. Of limit, W, on it costs money. What is not measured yet
// is what is drawn now; if that, or more than a tenth of it, is not known, nothing is forecast.
func (h *History) runningQuarter(c *request.Request, device string, now time.Time, limit float64) (*runningQuarter, error) {
	r := &runningQuarter{From: now.UTC().Truncate(quarterMS * time.Millisecond)}
	r.To = r.From.Add(quarterMS * time.Millisecond)
	r.SoFarW, r.NowW, r.ForecastW, r.HeadRoomW, r.HeadRoomKWh = null, null, null, null, null
	found, err := h.Periods(c, store.Query{Device: device, From: r.From, To: r.To, Resolution: store.Quarter})
	if err != nil {
		return nil, err
	}
	var q energy.Quarter
	if len(found) > 0 {
		q = found[0].FirstQuarter()
	}
	if mean, ok := q.Mean(); ok {
		r.SoFarW, r.Coverage = number(mean, 1), number(q.Coverage(now), 4)
	}
	newest, err := request.Ask(h.Gate, c, "latest", func(ctx context.Context) (wire.Sample, error) { return h.Store.Latest(ctx, device) })
	if errors.Is(err, store.ErrNone) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	about, err := h.About(c, device)
	if err != nil {
		return nil, err
	}
	age := now.Sub(newest.Time)
	if fresh, _ := deviceinfo.Freshness(age, about.Edge); newest.ExportPowerW == nil || fresh != "live" && age.Milliseconds() > mostMissing {
		return r, nil
	}
	draws := max(-*newest.ExportPowerW, 0)
	r.NowW = number(draws, 1)
	past := now.Sub(r.From).Milliseconds()
	missing := max(past-q.Covered, 0)
	if missing > mostMissing {
		return r, nil
	}
	used, left := q.Energy+draws*float64(missing), float64(quarterMS-max(past, q.Covered))
	room := max(limit*float64(quarterMS)-used, 0)
	r.ForecastW, r.HeadRoomKWh = number((used+draws*left)/float64(quarterMS), 1), number(room/3.6e9, 4)
	if left > 0 {
		r.HeadRoomW = number(room/left, 1)
	}
	return r, nil
}
