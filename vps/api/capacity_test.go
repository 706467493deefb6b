package api

import (
	"math"
	"testing"
	"time"

	"sunspool/vps/history"
	"sunspool/wire"
)

func TestMonthlyPeakIsTheHighestQuarterHourOfTheLocalMonth(t *testing.T) {
	zone, _ := time.LoadLocation("Europe/Brussels")
	now := time.Date(2026, 6, 21, 12, 35, 0, 0, zone)
	b := zoned(t, "Europe/Brussels", now)
	var samples []wire.Sample
	add := func(from time.Time, length time.Duration, importW float64) {
		for at := from; at.Before(from.Add(length)); at = at.Add(30 * time.Second) {
			samples = append(samples, wire.Sample{Time: at, ExportPowerW: new(0 - importW), Count: 1})
		}
	}
	add(time.Date(2026, 5, 31, 23, 45, 0, 0, zone), 15*time.Minute, 9999) // May there, and in UTC
	add(time.Date(2026, 6, 1, 0, 0, 0, 0, zone), 15*time.Minute, 5000.4)  // June there, May in UTC
	add(time.Date(2026, 6, 2, 10, 5, 0, 0, zone), 15*time.Minute, 6000)   // 10 min of one quarter, 5 min of the next
	add(time.Date(2026, 6, 2, 10, 0, 0, 0, zone), 5*time.Minute, 0)
	add(time.Date(2026, 6, 2, 10, 20, 0, 0, zone), 10*time.Minute, 0)
	add(time.Date(2026, 6, 3, 10, 0, 0, 0, zone), 15*time.Minute, -3000) // exports
	add(time.Date(2026, 6, 21, 12, 30, 0, 0, zone), 5*time.Minute, 8000) // runs
	b.put("inv-1", samples)

	got := answered[history.CapacityAnswer](b, "/v1/capacity/month/2026-06?device_id=inv-1")
	want := []struct {
		at    time.Time
		watts int64
	}{
		{time.Date(2026, 6, 1, 0, 0, 0, 0, zone), 5000}, {time.Date(2026, 6, 2, 10, 0, 0, 0, zone), 4000},
		{time.Date(2026, 6, 2, 10, 15, 0, 0, zone), 2000}, {time.Date(2026, 6, 3, 10, 0, 0, 0, zone), 0},
	}
	if len(got.Peaks) != len(want) || got.Month != "2026-06" || got.DeviceID != "inv-1" {
		t.Fatalf("%+v", got)
	}
	for i, p := range got.Peaks {
		if !p.Bucket.Equal(want[i].at) || math.Abs(float64(p.AvgPowerW-want[i].watts)) > 120 || p.Coverage < 0.99 {
			t.Errorf("quarter %d: %+v, want %+v", i, p, want[i])
		}
	}
	if *got.MonthlyPeakW != 5000 || !got.MonthlyPeakTS.Equal(want[0].at) {
		t.Errorf("peak %d at %v", *got.MonthlyPeakW, got.MonthlyPeakTS)
	}
	if r := got.RunningQuarter; r == nil || r.AvgPowerW != 8000 || r.Coverage < 0.99 {
		t.Errorf("running %+v", r)
	}
	if none := answered[history.CapacityAnswer](b, "/v1/capacity/month/2026-04?device_id=inv-1"); none.Peaks == nil || len(none.Peaks) != 0 || none.MonthlyPeakW != nil || none.MonthlyPeakTS != nil {
		t.Errorf("a month without samples: %+v", none)
	}
}

func TestCapacityOfAUnitWithoutMeterIsNull(t *testing.T) {
	b := newBench(t)
	b.put("inv-1", []wire.Sample{{Time: testNow.Add(-time.Hour), PVPowerW: 100, Count: 1}})
	if got := answered[history.CapacityAnswer](b, "/v1/capacity/month/2026-06?device_id=inv-1"); len(got.Peaks) != 0 || got.MonthlyPeakW != nil {
		t.Errorf("%+v", got)
	}
}
