package energy

import (
	"math"
	"testing"
	"time"

	"sunspool/wire"
)

// TestPeakIsOfQuarterHoursOfTheClock: 30 minutes of import across a quarter's border are not one quarter's mean.
func TestPeakIsOfQuarterHoursOfTheClock(t *testing.T) {
	var samples []wire.Sample
	for i := range 60 {
		watts := 0.0
		if i >= 10 && i < 20 { // 5 min of the first quarter, 5 min of the second
			watts = 3000
		}
		if i >= 50 && i < 60 { // 10 min of the last
			watts = 2000
		}
		samples = append(samples, wire.Sample{Time: noon.Add(time.Duration(i)*time.Minute + 30*time.Second), ExportPowerW: new(0 - watts), Count: 1})
	}
	later := noon.Add(time.Hour)
	for name, c := range map[string]struct {
		end, now time.Time
		watts    float64
		at       time.Time
	}{
		"the hour":                         {later, later, 2000 * 10 / 15.0, noon.Add(45 * time.Minute)},
		"the first quarter":                {noon.Add(15 * time.Minute), later, 1000, noon},
		"before the last quarter was over": {later, later.Add(-1), 1000, noon},
	} {
		r := rollupOf(noon, c.end, samples)
		q, ok := r.Peak(c.now)
		if mean, _ := q.Mean(); !ok || math.Abs(mean-c.watts) > 1e-9 || q.Start != c.at.UnixMilli() {
			t.Errorf("%s: %v W at %v", name, mean, time.UnixMilli(q.Start).UTC())
		}
	}
	for name, some := range map[string][]wire.Sample{
		"no meter":                  {{Time: noon, Count: 1}},
		"ten seconds":               {{Time: noon.Add(7 * time.Minute), ExportPowerW: new(-9000.0), Count: 2}},
		"less than nine tenths":     within(noon, noon.Add(13*time.Minute), samples),
		"13 minutes, polled often":  oftenUntil(13 * time.Minute),
		"from the second minute on": within(noon.Add(2*time.Minute), noon.Add(15*time.Minute), samples),
	} {
		r := laidOut([]time.Time{noon, noon.Add(15 * time.Minute)}, some)[0]
		if q, ok := r.Peak(later); ok {
			t.Errorf("%s: a peak of %+v", name, q)
		}
	}
}

// oftenUntil are polls of 5 s from noon on and again in the next quarter-hour.
func oftenUntil(end time.Duration) (samples []wire.Sample) {
	for d := time.Duration(0); d < 20*time.Minute; d += 5 * time.Second {
		if d < end || d >= 15*time.Minute {
			samples = append(samples, wire.Sample{Time: noon.Add(d), ExportPowerW: new(-9000.0), Count: 1})
		}
	}
	return samples
}

// TestPeakDoesNotDependOnItsSteps: of an hour of which the samples are slow the last quarter is completed by the next one.
func TestPeakDoesNotDependOnItsSteps(t *testing.T) {
	for _, phase := range []time.Duration{0, time.Minute, 4 * time.Minute} {
		var samples []wire.Sample
		for at := noon.Add(phase); at.Before(noon.Add(3 * time.Hour)); at = at.Add(5 * time.Minute) {
			watts := 0.0
			if from := noon.Add(105 * time.Minute); !at.Before(from) && at.Before(from.Add(15*time.Minute)) {
				watts = 6000
			}
			samples = append(samples, wire.Sample{Time: at, ExportPowerW: new(-watts), Count: 1})
		}
		var day Sum
		for h := range 3 {
			hour := bareOf(noon.Add(time.Duration(h)*time.Hour), noon.Add(time.Duration(h+1)*time.Hour), samples)
			day.Add(&hour)
		}
		r := day.Rollup()
		q, ok := r.Peak(noon.Add(24 * time.Hour))
		if mean, _ := q.Mean(); !ok || mean != 6000 || q.Start != noon.Add(105*time.Minute).UnixMilli() {
			t.Errorf("polls at +%v: %v W, %+v", phase, mean, q)
		}
	}
}
