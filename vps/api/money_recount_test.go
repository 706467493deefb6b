package api

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sunspool/internal/race"
	"sunspool/vps/tariff"
	"sunspool/wire"
)

// minuteOf is a minute that is measured, in W.
type minuteOf struct {
	at           time.Time
	load, export float64
}

// sampleOf covers its minute exactly: its time is the middle of it.
func (m minuteOf) sample() wire.Sample {
	return wire.Sample{Time: m.at.Add(30 * time.Second), Count: 12, Interval: time.Minute, PVPowerW: max(m.load+m.export, 0), LoadPowerW: &m.load, ExportPowerW: &m.export}
}

// randomTariff has prices that change within months, windows of all kinds, fees or none, and CO2 or none.
func randomTariff(r *rand.Rand, first time.Time) *tariff.Tariff {
	var s tariff.Schedule
	for day := first.AddDate(0, 0, -r.IntN(3)); len(s) < 4; day = day.AddDate(0, 0, 1+r.IntN(120)) {
		p := tariff.Prices{From: day.Format(time.DateOnly), Import: float64(r.IntN(50)) / 100, Export: float64(r.IntN(20)-5) / 100}
		for range r.IntN(4) {
			w := tariff.Window{Days: tariff.Days(r.IntN(128)), From: 15 * r.IntN(96), To: 15 * r.IntN(97)}
			if r.IntN(2) == 0 { // around where clocks are changed
				w.From, w.To = 15*r.IntN(14), 15*(8+r.IntN(6))
			}
			if r.IntN(3) > 0 {
				w.Import = new(float64(r.IntN(50)) / 100)
			}
			if w.Import == nil || r.IntN(2) > 0 {
				w.Export = new(float64(r.IntN(20)-5) / 100)
			}
			p.Windows = append(p.Windows, w)
		}
		p.CO2 = new(float64(100 + r.IntN(200)))
		if r.IntN(2) == 0 {
			p.FeePerYear, p.FeePerMonth = float64(r.IntN(100)), float64(r.IntN(10))
		}
		s = append(s, p)
	}
	return &tariff.Tariff{Currency: "EUR", Prices: s}
}

// priceAt is the slow and plain way: what the clock on the wall shows, and the first window that fits.
func priceAt(s tariff.Schedule, at time.Time) (p *tariff.Prices, imports, exports float64) {
	for i := range s {
		if from, _ := time.ParseInLocation(time.DateOnly, s[i].From, at.Location()); !at.Before(from) {
			p = &s[i]
		}
	}
	if p == nil {
		return nil, 0, 0
	}
	imports, exports = p.Import, p.Export
	minute := at.Hour()*60 + at.Minute()
	for _, w := range slices.Backward(p.Windows) {
		today, yesterday := w.Days>>at.Weekday()&1 == 1, w.Days>>((at.Weekday()+6)%7)&1 == 1
		in := today && minute >= w.From && minute < w.To
		if w.To <= w.From {
			in = today && minute >= w.From || yesterday && minute < w.To
		}
		if in && w.Import != nil {
			imports = *w.Import
		}
		if in && w.Export != nil {
			exports = *w.Export
		}
	}
	return p, imports, exports
}

// Money of hours, days, months and years is that of a recount minute by minute: with prices by the hour that change in the
// middle of months, on both days of 23 and 25 hours, and with gaps, which cost nothing and are seen in the coverage.
func TestMoneyIsARecountMinuteByMinute(t *testing.T) {
	race.Skip(t, "arithmetic")
	zone := brussels(t)
	now := time.Date(2026, 11, 3, 10, 17, 0, 0, zone)
	b := zoned(t, "Europe/Brussels", now)
	r := rand.New(rand.NewPCG(15, 5))
	var minutes []minuteOf
	var samples []wire.Sample
	for _, begin := range []time.Time{time.Date(2026, 3, 27, 9, 0, 0, 0, zone), time.Date(2026, 10, 23, 0, 0, 0, 0, zone)} {
		gap := 0
		for at := begin; at.Before(begin.AddDate(0, 0, 6)); at = at.Add(time.Minute) {
			if gap--; gap < 0 && r.IntN(900) == 0 {
				gap = 20 + r.IntN(300)
			}
			if gap >= 0 {
				continue
			}
			m := minuteOf{at, float64(r.IntN(4000)), float64(r.IntN(8000) - 4000)}
			minutes, samples = append(minutes, m), append(samples, m.sample())
		}
	}
	b.put("inv-1", samples)

	first := time.Date(2026, 1, 1, 0, 0, 0, 0, zone)
	for n := range 8 {
		all := randomTariff(r, first)
		if n%2 == 1 {
			all.Devices, all.Prices = map[string]tariff.Schedule{"inv-1": all.Prices}, randomTariff(r, first).Prices
		}
		priced(b, all)
		s := all.Of("inv-1")
		hourly := [][2]string{{"2026-03-27", "2026-04-02"}, {"2026-10-23", "2026-10-29"}}
		for resolution, spans := range map[string][][2]string{"hour": hourly, "day": {{"2026-03-01", "2026-11-03"}},
			"month": {{"2026-01-01", "2026-11-30"}}, "year": {{"2026-01-01", "2026-12-31"}}} {
			for _, span := range spans {
				got := answered[struct {
					From    []int64
					Columns map[string][]*float64
					Totals  map[string]*float64
					Until   int64
				}](b, fmt.Sprintf("/v1/energy?device_id=inv-1&resolution=%s&from=%s&to=%s", resolution, span[0], span[1]))
				type sums struct {
					cost, saved, co2, fee float64
					any                   bool
				}
				want := make([]sums, len(got.From))
				in := func(at time.Time) *sums {
					i, _ := slices.BinarySearch(got.From, at.Unix()+1)
					if i == 0 || at.Unix() >= got.Until {
						return nil
					}
					return &want[i-1]
				}
				for _, m := range minutes {
					if w := in(m.at); w != nil {
						p, imports, exports := priceAt(s, m.at)
						brought, sold, used := max(-m.export, 0)/60e3, max(m.export, 0)/60e3, m.load/60e3
						cost := brought*imports - sold*exports
						w.cost, w.saved, w.any = w.cost+cost, w.saved+used*imports-cost, true
						w.co2 += (used - brought + sold) * *p.CO2 / 1000
					}
				}
				for day := time.Unix(got.From[0], 0).In(zone); day.Unix() < got.Until; day = time.Date(day.Year(), day.Month(), day.Day()+1, 0, 0, 0, 0, zone) {
					end := time.Date(day.Year(), day.Month(), day.Day()+1, 0, 0, 0, 0, zone)
					for at := day; at.Before(end); at = at.Add(time.Minute) {
						if w := in(at); w != nil {
							p, _, _ := priceAt(s, at)
							perMonth := p.FeePerMonth / float64(time.Date(at.Year(), at.Month()+1, 0, 0, 0, 0, 0, zone).Day())
							w.fee += (p.FeePerYear/365 + perMonth) / end.Sub(day).Minutes()
						}
					}
				}
				near := func(what string, v *float64, want float64, known bool) {
					t.Helper()
					if (v != nil) != known || known && math.Abs(*v-want) > 0.0002 {
						t.Errorf("tariff %d, %s: %s is %v, want %v (%v)", n, resolution, what, inWords(v), want, known)
					}
				}
				var total sums
				for i, w := range want {
					at := time.Unix(got.From[i], 0).In(zone).Format(time.RFC3339)
					near("cost of "+at, got.Columns["cost"][i], w.cost, w.any)
					near("saved of "+at, got.Columns["saved"][i], w.saved, w.any)
					near("CO2 of "+at, got.Columns["co2_avoided_kg"][i], w.co2, w.any)
					if s.HasFees() {
						near("fee of "+at, got.Columns["fee"][i], w.fee, true)
					} else if got.Columns["fee"] != nil {
						t.Error("fees of none")
					}
					total.cost, total.saved, total.co2, total.fee = total.cost+w.cost, total.saved+w.saved, total.co2+w.co2, total.fee+w.fee
				}
				near("cost", got.Totals["cost"], total.cost, true)
				near("saved", got.Totals["saved"], total.saved, true)
				near("CO2", got.Totals["co2_avoided_kg"], total.co2, true)
				near("fee", got.Totals["fee"], total.fee, s.HasFees())
				if t.Failed() {
					t.Fatalf("%+v", s)
				}
			}
		}
	}
}

func inWords(v *float64) any {
	if v == nil {
		return "null"
	}
	return *v
}
