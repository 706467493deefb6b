package api

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"sunspool/vps/history"
	"sunspool/vps/tariff"
	"sunspool/wire"
)

// imports adds samples each 30 s that import a power.
func imports(samples []wire.Sample, from time.Time, length time.Duration, watts float64) []wire.Sample {
	for at := from; at.Before(from.Add(length)); at = at.Add(30 * time.Second) {
		samples = append(samples, wire.Sample{Time: at.Add(15 * time.Second), Count: 6, Interval: 30 * time.Second, ExportPowerW: new(0 - watts)})
	}
	return samples
}

// The mean is of the twelve months that end with the one that is asked for, each at least 2.5 kW; a month in which no quarter-hour
// was measured is null, and not in the mean. What it costs follows the price of each day.
func TestPeaksOfTwelveMonthsHaveACost(t *testing.T) {
	zone := brussels(t)
	b := zoned(t, "Europe/Brussels", time.Date(2026, 6, 21, 12, 30, 0, 0, zone))
	day := func(month time.Month, day, hour, minute int) time.Time {
		return time.Date(2026, month, day, hour, minute, 0, 0, zone)
	}
	var samples []wire.Sample
	samples = imports(samples, day(-7, 3, 18, 0), time.Hour, 9000)    // May 2025, of another year
	samples = imports(samples, day(-5, 3, 18, 0), time.Hour, 4000)    // July 2025
	samples = imports(samples, day(1, 10, 0, 0), time.Hour, 600)      // counts as 2.5 kW
	samples = imports(samples, day(2, 10, 18, 0), 8*time.Minute, 9e3) // hardly measured: no peak
	samples = imports(samples, day(3, 31, 23, 45), 15*time.Minute, 5000)
	samples = imports(samples, day(4, 1, 0, 0), 15*time.Minute, 3000)
	samples = imports(samples, day(6, 21, 11, 0), 90*time.Minute, 2600)
	b.put("inv-1", samples)

	get := func(month string) history.PeaksAnswer {
		return answered[history.PeaksAnswer](b, "/v1/capacity?device_id=inv-1&month="+month)
	}
	if body := b.get("/v1/capacity?device_id=inv-1", viewerAll).Body.String(); strings.Contains(body, "cost") || strings.Contains(body, "currency") {
		t.Errorf("without a tariff there is money: %s", body)
	}
	priced(b, &tariff.Tariff{Currency: "EUR", Capacity: "be", Prices: tariff.Schedule{
		{From: "2025-07-01", Capacity: new(40.0)}, {From: "2026-06-11", Capacity: new(52.0)}, {From: "2026-09-01"}}})
	for month, want := range map[string]struct {
		counted     map[string]float64
		mean, perKW float64
	}{
		"2026-06": {map[string]float64{"2025-07": 4000, "2026-01": 2500, "2026-03": 5000, "2026-04": 3000, "2026-06": 2600},
			(4000 + 2500 + 5000 + 3000 + 2600) / 5.0, (10*40 + 20*52) / 30.0},
		"2026-03": {map[string]float64{"2025-05": 9000, "2025-07": 4000, "2026-01": 2500, "2026-03": 5000}, (9000 + 4000 + 2500 + 5000) / 4.0, 40},
		"2026-02": {map[string]float64{"2025-05": 9000, "2025-07": 4000, "2026-01": 2500}, (9000 + 4000 + 2500) / 3.0, 40},
		"2025-06": {map[string]float64{"2025-05": 9000}, 9000, math.NaN()}, // before the first price
		"2026-08": {map[string]float64{"2026-01": 2500, "2026-03": 5000, "2026-04": 3000, "2026-06": 2600}, 13100 / 4.0, 52},
		"2026-09": {map[string]float64{"2026-01": 2500, "2026-03": 5000, "2026-04": 3000, "2026-06": 2600}, 13100 / 4.0, math.NaN()}, // of no price
		"2024-09": {nil, math.NaN(), math.NaN()},
	} {
		got := get(month)
		if len(got.Months) != 12 || got.Months[11].Month != month || got.Month != month || got.LeastW != 2500 {
			t.Fatalf("%s: %+v", month, got)
		}
		for _, m := range got.Months {
			v, known := want.counted[m.Month]
			if is := float64(m.CountedW); (is == is) != known || known && math.Abs(is-v) > 25 || (m.PeakTS != nil) != known {
				t.Errorf("%s: %s counts as %v, want %v", month, m.Month, m.CountedW, v)
			}
			if m.Month == "2026-01" && math.Abs(float64(m.PeakW)-600) > 6 {
				t.Errorf("the peak of January is %v", m.PeakW)
			}
		}
		near := func(what string, got history.Number, want float64) {
			t.Helper()
			if v := float64(got); (v == v) != (want == want) || want == want && math.Abs(v-want) > 0.001*want+0.0001 {
				t.Errorf("%s: %s is %v, want %v", month, what, v, want)
			}
		}
		near("mean", got.MeanW, want.mean)
		near("price", got.Cost.PerKWYear, want.perKW)
		near("a year", got.Cost.Year, float64(got.MeanW)/1000*want.perKW)
		near("a month", got.Cost.Month, float64(got.MeanW)/1000*want.perKW/12)
		if (got.Quarter != nil) != (month == "2026-06") {
			t.Errorf("%s: quarter %+v", month, got.Quarter)
		}
	}
}

// What a quarter-hour becomes, and what may be drawn without raising the peak, is arithmetic on what is measured of it: counted
// second by second. Where that is too little, nothing is forecast.
func TestRunningQuarterIsForecast(t *testing.T) {
	zone := brussels(t)
	start := time.Date(2026, 6, 21, 12, 30, 0, 0, zone)
	for name, c := range map[string]struct {
		parts      [][3]float64 // from and to, minutes, and W
		now        float64      // minutes
		soFar      float64
		forecast   float64
		headRoom   float64 // kWh
		draws      float64
		peak       float64
		unknown    bool
		unmeasured bool
	}{
		"steady":                {parts: [][3]float64{{0, 5, 3000}}, now: 5, soFar: 3000, forecast: 3000, headRoom: 1 - 0.25, draws: 3000, peak: 4000},
		"falls":                 {parts: [][3]float64{{0, 5, 6000}, {5, 10, 0}}, now: 10, soFar: 3000, forecast: 2000, headRoom: 1 - 0.5, peak: 4000},
		"rises":                 {parts: [][3]float64{{0, 5, 0}, {5, 10, 9000}}, now: 10, soFar: 4500, forecast: 6000, headRoom: 0.25, draws: 9000, peak: 4000},
		"too much already":      {parts: [][3]float64{{0, 10, 9000}}, now: 10, soFar: 9000, forecast: 9000, headRoom: 0, draws: 9000, peak: 4000},
		"below the least":       {parts: [][3]float64{{0, 6, 1000}}, now: 6, soFar: 1000, forecast: 1000, headRoom: 0.625 - 0.1, draws: 1000, peak: 800},
		"exports":               {parts: [][3]float64{{0, 6, -5000}}, now: 6, soFar: 0, forecast: 0, headRoom: 1, peak: 4000},
		"a minute late":         {parts: [][3]float64{{0, 5, 3000}}, now: 6, soFar: 3000, forecast: 3000, headRoom: 1 - 0.3, draws: 3000, peak: 4000},
		"has just begun":        {parts: [][3]float64{{-5, 0, 2000}}, now: 0.5, forecast: 2000, headRoom: 1 - 1/60.0, draws: 2000, peak: 4000, unmeasured: true},
		"a hole":                {parts: [][3]float64{{0, 3, 3000}, {8, 11, 3000}}, now: 11, soFar: 3000, draws: 3000, peak: 4000, unknown: true},
		"silent":                {parts: [][3]float64{{0, 5, 3000}}, now: 8, soFar: 3000, peak: 4000, unknown: true},
		"silent for an hour":    {parts: [][3]float64{{-70, -60, 3000}}, now: 0.5, peak: 4000, unknown: true, unmeasured: true},
		"nothing of this month": {now: 5, peak: 4000, unknown: true, unmeasured: true},
	} {
		now := start.Add(time.Duration(c.now * float64(time.Minute)))
		b := zoned(t, "Europe/Brussels", now)
		priced(b, &tariff.Tariff{Currency: "EUR", Capacity: "be", Prices: tariff.Schedule{{From: "2026-01-01", Capacity: new(48.0)}}})
		samples := imports(nil, start.AddDate(0, 0, -3), 15*time.Minute, c.peak)
		for _, p := range c.parts {
			samples = imports(samples, start.Add(time.Duration(p[0]*float64(time.Minute))), time.Duration((p[1]-p[0])*float64(time.Minute)), p[2])
		}
		b.put("inv-1", samples)
		got := answered[history.PeaksAnswer](b, "/v1/capacity?device_id=inv-1")
		q := got.Quarter
		if q == nil || !q.From.Equal(start) || q.To.Sub(q.From) != 15*time.Minute {
			t.Fatalf("%s: %+v", name, q)
		}
		near := func(what string, got history.Number, want, by float64, known bool) {
			t.Helper()
			if v := float64(got); (v == v) != known || known && math.Abs(v-want) > by {
				t.Errorf("%s: %s is %v, want %v (%v)", name, what, v, want, known)
			}
		}
		near("so far", q.SoFarW, c.soFar, 1, !c.unmeasured)
		near("forecast", q.ForecastW, c.forecast, 20, !c.unknown)
		near("head-room", q.HeadRoomKWh, c.headRoom, 0.005, !c.unknown)
		near("as a power", q.HeadRoomW, c.headRoom/(15-c.now)*60_000, 60, !c.unknown)
		counts := max(c.peak, 2500)
		near("mean", got.MeanW, counts, 20, true)
		near("a year", got.Cost.Year, 0.048*counts, 1, true)
		near("a year with it", got.Cost.ForecastYear, 0.048*max(counts, c.forecast), 1, !c.unknown)
	}
}

// A month counts once it has a quarter-hour: until then the mean is of the others, and what is forecast is of all.
func TestFirstQuarterOfAMonthIsForecast(t *testing.T) {
	zone := brussels(t)
	now := time.Date(2026, 6, 1, 0, 5, 0, 0, zone)
	b := zoned(t, "Europe/Brussels", now)
	priced(b, &tariff.Tariff{Currency: "EUR", Capacity: "be", Prices: tariff.Schedule{{From: "2026-01-01", Capacity: new(48.0)}}})
	b.put("inv-1", imports(nil, now.Add(-35*time.Minute), 35*time.Minute, 6000))
	got := answered[history.PeaksAnswer](b, "/v1/capacity?device_id=inv-1")
	if got.Months[11].PeakTS != nil || got.MeanW != 6000 || got.Months[10].CountedW != 6000 || got.Quarter.ForecastW != 6000 || got.Quarter.HeadRoomKWh > 0.126 ||
		math.Abs(float64(got.Cost.ForecastYear)-288) > 0.1 {
		out, _ := json.Marshal(got)
		t.Error(string(out))
	}
}

// The peak of a month is the same in /v1/capacity, in /v1/capacity/month and in /v1/energy.
func TestPeakIsTheSameEverywhere(t *testing.T) {
	b := newVillage(t)
	now := answered[history.PeaksAnswer](b, "/v1/capacity?device_id=roof")
	month := answered[history.CapacityAnswer](b, "/v1/capacity/month/2026-06?device_id=roof")
	e := answered[moneyAnswer](b, "/v1/energy?device_id=roof&resolution=month&from=2026-06-01&to=2026-06-30")
	peak := now.Months[11]
	if fmt.Sprint(int64(peak.PeakW)) != fmt.Sprint(*month.MonthlyPeakW) || !peak.PeakTS.Equal(*month.MonthlyPeakTS) || float64(peak.PeakW) != *e.Columns["import_peak15_w"][0] ||
		float64(peak.Coverage) != *e.Columns["grid_coverage"][0] {
		t.Errorf("%+v, %v at %v, %v", peak, *month.MonthlyPeakW, month.MonthlyPeakTS, *e.Columns["import_peak15_w"][0])
	}
}
