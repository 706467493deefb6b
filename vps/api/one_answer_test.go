package api

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"sunspool/vps/auth"
	"sunspool/vps/history"
	"sunspool/wire"
)

// exportedLines are the lines of an export by the names of their columns, NaN where a cell is empty.
func (b *bench) exportedLines(query string) (lines []map[string]float64) {
	b.t.Helper()
	rows := b.exported(query, ',')
	for _, row := range rows[1:] {
		line := map[string]float64{}
		for i, cell := range row[2:] {
			line[rows[0][2+i]] = math.NaN()
			if cell != "" {
				line[rows[0][2+i]], _ = strconv.ParseFloat(cell, 64)
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// TestOneQuestionHasOneAnswer: what a household reads of a day is the same number in energy, export, series, capacity,
// stream and realtime; with an outage, with a counter that was replaced, and of the running day.
func TestOneQuestionHasOneAnswer(t *testing.T) {
	now := time.Date(2026, 6, 17, 19, 37, 11, 0, time.UTC)
	b := zoned(t, "Europe/Brussels", now)
	h := newHouse(77)
	start := time.Date(2026, 6, 12, 22, 0, 0, 0, time.UTC)
	samples := h.live(start, start.Add(40*time.Hour))
	h.dark(start.Add(40*time.Hour), start.Add(53*time.Hour)) // over midnight
	samples = append(samples, h.live(start.Add(53*time.Hour), start.Add(80*time.Hour))...)
	h.pvKWh, h.imported = 3.2, 50 // replaced
	samples = append(samples, h.live(start.Add(80*time.Hour), now)...)
	for i := range samples {
		samples[i].PVDailyKWh = nil
	}
	b.put("inv-1", samples)

	near := func(what string, got, want, most float64) {
		t.Helper()
		if !(math.Abs(got-want) <= most) {
			t.Errorf("%s is %v, in energy it is %v", what, got, want)
		}
	}
	const span = "&from=2026-06-13&to=2026-06-17"
	days := answered[energyTest](b, "/v1/energy?device_id=inv-1&resolution=day"+span)
	hours := answered[energyTest](b, "/v1/energy?device_id=inv-1&resolution=hour"+span)
	month := answered[energyTest](b, "/v1/energy?device_id=inv-1&resolution=month&from=2026-06-01&to=2026-06-30")
	exported := map[string][]map[string]float64{"1d": b.exportedLines("device_id=inv-1&resolution=1d" + span), "1h": b.exportedLines("device_id=inv-1&resolution=1h" + span), "5m": b.exportedLines("device_id=inv-1&resolution=5m" + span)}
	for _, name := range history.EnergyColumns {
		total := float64(days.Totals[name])
		near(name+" of the hours", totalOf(hours.Columns[name]), total, 0.1)
		near(name+" of the month", float64(month.Totals[name]), total, 0.1)
		one := 0.0
		for _, day := range days.Labels {
			one += float64(answered[energyTest](b, "/v1/energy?device_id=inv-1&from="+day+"&to="+day).Totals[name])
		}
		near(name+" of days asked one by one", one, total, 0.1)
		for resolution, lines := range exported {
			sum := 0.0
			for _, line := range lines {
				if v := line[name]; v == v {
					sum += v
				}
			}
			near(name+" exported by "+resolution, sum, total, 0.1)
		}
		for i, line := range exported["1d"] {
			near(name+" exported of "+days.Labels[i], line[name], float64(days.Columns[name][i]), 0.0006)
		}
	}

	today := len(days.Labels) - 1
	streamed := b.events("/v1/stream?device_id=inv-1", "today")
	for _, name := range []string{"pv_kwh", "load_kwh", "import_kwh", "export_kwh", "charge_kwh", "discharge_kwh"} {
		near(name+" in the stream", streamed[name], float64(days.Columns[name][today]), 0.0011)
	}
	newest := answered[struct {
		Daily float64 `json:"pv_daily_kwh"`
	}](b, "/v1/realtime?device_id=inv-1")
	near("pv_daily_kwh", newest.Daily, float64(days.Columns["pv_kwh"][today]), 0.02) // until the sample, not until now

	capacity := answered[history.CapacityAnswer](b, "/v1/capacity/month/2026-06?device_id=inv-1")
	near("the peak of capacity", float64(*capacity.MonthlyPeakW), float64(month.Columns["import_peak15_w"][0]), 0.5)
	near("the time of it", float64(capacity.MonthlyPeakTS.Unix()), float64(month.Columns["import_peak15_at"][0]), 0)

	series := answered[powersTest](b, "/v1/series?device_id=inv-1&resolution=1h"+span+"&columns=load_w,pv_w,coverage,battery_coverage")
	for i := range hours.Labels {
		near("coverage of "+hours.Labels[i], float64(series.Columns["coverage"][i]), float64(hours.Columns["coverage"][i]), 0.001)
		if hours.Columns["coverage"][i] == 1 && i < len(hours.Labels)-1 { // the running hour is not an hour long
			near("load of "+hours.Labels[i], float64(series.Columns["load_w"][i])/1000, float64(hours.Columns["load_kwh"][i]), 0.001)
		}
	}
	contract := answered[wire.Series](b, "/v1/series?device_id=inv-1&frame=month&partial=1")
	powers := answered[powersTest](b, "/v1/series?device_id=inv-1&resolution=1d"+span+"&columns=load_w,pv_w")
	for i, bucket := range contract.Buckets {
		near(fmt.Sprint("mean load of the contract, day ", i), *bucket.AvgLoadPowerW, float64(powers.Columns["load_w"][i]), 0.06)
	}
}

// events returns the last event of a kind that a stream begins with.
func (b *bench) events(target, kind string) (event map[string]float64) {
	b.t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", target, nil)
	r.Header.Set("Authorization", "Bearer "+viewerAll)
	b.api.ServeHTTP(crowding{w, b, auth.SumOf(viewerAll)}, r)
	for block := range strings.SplitSeq(w.Body.String(), "\n\n") {
		if head, data, ok := strings.Cut(block, "\ndata: "); ok && strings.HasSuffix(head, "event: "+kind) {
			var all map[string]any
			if err := json.Unmarshal([]byte(data), &all); err != nil {
				b.t.Fatal(err)
			}
			event = map[string]float64{}
			for name, v := range all {
				if f, ok := v.(float64); ok {
					event[name] = f
				}
			}
		}
	}
	return event
}
