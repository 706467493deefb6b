package energy

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"sunspool/wire"
)

// making are samples of three days from noon on, four in an hour, of a unit that makes the given power all the time and
// whose counter begins at 100 kWh. change makes its readings wrong; 0 is none.
func making(watts, digit float64, change func(i int, kwh float64) float64) (samples []wire.Sample) {
	for i := range 3 * 96 {
		kwh := 100 + watts*float64(i)/4000
		kwh = math.Round(change(i, math.Floor(kwh/digit+1e-6)*digit)*10) / 10
		samples = append(samples, wire.Sample{Time: noon.Add(time.Duration(i) * 15 * time.Minute), PVPowerW: watts, LoadPowerW: new(8000.0), Count: 1, PVTotalKWh: &kwh})
	}
	return samples
}

// between changes the readings of [from, to).
func between(from, to int, change func(i int, kwh float64) float64) func(int, float64) float64 {
	return func(i int, kwh float64) float64 {
		if i < from || i >= to {
			return kwh
		}
		return change(i-from, kwh)
	}
}

// TestWhatPowersSayDecides whether a reading was wrong, where the counter alone leaves it open: the same in hours as in days,
// of which one ends at reading 96.
func TestWhatPowersSayDecides(t *testing.T) {
	plus := func(more float64) func(int, float64) float64 {
		return func(_ int, kwh float64) float64 { return kwh + more }
	}
	at := func(kwh, each float64) func(int, float64) float64 {
		return func(i int, _ float64) float64 { return kwh + each*float64(i) }
	}
	for name, c := range map[string]struct {
		watts, digit float64
		change       func(int, float64) float64
		hole         [2]int // samples that are missing
	}{
		"a dip that rises":                       {2000, 0.1, between(40, 47, at(117, 0.1)), [2]int{}},
		"a dip that rises, across midnight":      {2000, 0.1, between(93, 100, at(143, 0.1)), [2]int{}},
		"a shallow dip, across midnight":         {2000, 0.1, between(94, 98, at(146.3, 0)), [2]int{}},
		"one too high, which it soon reaches":    {2000, 0.1, between(40, 41, plus(1.4)), [2]int{}},
		"one too high, beyond what can be":       {2000, 0.1, between(40, 41, plus(4)), [2]int{}},
		"that, and the counter reaches it soon":  {7000, 0.1, between(40, 41, plus(3.1)), [2]int{}},
		"that, before a hole":                    {2000, 0.1, between(38, 39, plus(4)), [2]int{40, 60}},
		"one too high, first in a day":           {2000, 0.1, between(96, 97, plus(1.4)), [2]int{}},
		"one too high, before a day":             {2000, 0.1, between(94, 95, plus(1.4)), [2]int{}},
		"one too high, after a hole":             {2000, 0.1, between(60, 61, plus(30)), [2]int{40, 60}},
		"one too high, in the middle of a night": {0, 0.1, between(40, 41, plus(1.3)), [2]int{}},
		"one too high, after a digit that trembled up": {40, 0.1, func(i int, kwh float64) float64 {
			return kwh + map[int]float64{58: 0.2, 60: 1.4}[i]
		}, [2]int{}},
		"whole kWh, one too high": {2000, 1, between(40, 41, plus(5)), [2]int{}},
		"whole kWh, one too high after a digit that trembled up": {0, 1, func(i int, kwh float64) float64 {
			return kwh + map[int]float64{20: 1, 22: 1, 60: 5}[i]
		}, [2]int{}},
		"whole kWh, none across midnight":        {500, 1, between(89, 120, at(0, 0)), [2]int{}},
		"whole kWh that tremble while they rise": {2000, 1, between(20, 60, func(i int, kwh float64) float64 { return kwh + float64(i%3-1) }), [2]int{}},
		"trembling up, across midnight":          {0, 0.1, between(80, 110, func(i int, kwh float64) float64 { return kwh + 0.1*float64([...]int{0, 1, 2, 0, 2, 1}[i%6]) }), [2]int{}},
		"below a last digit that trembled up":    {0, 0.1, between(40, 46, func(i int, kwh float64) float64 { return kwh + 0.1*float64(i%2) - 0.2*float64(i/2) }), [2]int{}},
		"a dip that ends after a hole":           {2000, 0.1, between(60, 63, at(119, 0)), [2]int{40, 60}},
	} {
		samples := making(c.watts, c.digit, c.change)
		samples = append(samples[:c.hole[0]:c.hole[0]], samples[c.hole[1]:]...)
		hours, days := tabled(noon, time.Hour, 72, samples), tabled(noon, 24*time.Hour, 3, samples)
		for day := range days {
			kwh, _ := days[day].KWh(PV)
			_, sum, _ := Column(hours[24*day:24*day+24], PV)
			want := c.watts * 24 / 1000
			if day == 2 {
				want = c.watts * 23.75 / 1000 // the counter ends with its last reading
			}
			if math.Abs(kwh-want) > c.digit+0.16 || math.Abs(kwh-sum) > 0.11+c.digit-0.1 {
				t.Errorf("%s: day %d is %.2f kWh, its hours are %.2f, really %.2f", name, day+1, kwh, sum, want)
			}
		}
	}
}

// TestHoursOfADayAreThoseOfAll: what the powers made before a border stays there, when the counter shows it only next day.
func TestHoursOfADayAreThoseOfAll(t *testing.T) {
	var samples []wire.Sample
	made := 100.0
	for i := range 3 * 96 {
		s := wire.Sample{Time: noon.Add(time.Duration(i) * 15 * time.Minute), LoadPowerW: new(8000.0), Count: 1}
		if i < 68 || i > 112 { // in the night between it makes nothing, and from 76 to 115 it is not read
			s.PVPowerW = 1000
			made += 0.2 // it counts a little less than is measured
		}
		if i < 76 || i > 115 {
			s.PVTotalKWh = new(math.Floor(made))
		}
		samples = append(samples, s)
	}
	_, day, _ := Column(tabled(noon, time.Hour, 24, samples), PV)
	if _, all, _ := Column(tabled(noon, time.Hour, 72, samples)[:24], PV); math.Abs(day-all) > 0.01 {
		t.Errorf("the hours of the first day are %.3f kWh, among those of three days %.3f", day, all)
	}
}

// TestHourOfOneTooHigh is not more than others, where the counter comes back to within a digit of that by rising. For the
// unit it would be possible, for what it shows in that hour not.
func TestHourOfOneTooHigh(t *testing.T) {
	samples := making(4000, 0.1, between(41, 42, func(_ int, kwh float64) float64 { return kwh + 2.1 }))
	for i := range samples {
		samples[i].Time = samples[i].Time.Add(8 * time.Minute)
		if i > 0 {
			samples[i].LoadPowerW = nil
		}
	}
	for i, r := range tabled(noon, time.Hour, 24, samples) {
		if kwh, _ := r.KWh(PV); i > 0 && math.Abs(kwh-4) > 0.2 {
			t.Errorf("hour %d is %.2f kWh, want 4", i, kwh)
		}
	}
}

// TestSparseWrongReadings of a counter of tenths: now and then one is 0, too high or too low, some by whole kWh.
func TestSparseWrongReadings(t *testing.T) {
	wrong := [...]float64{math.Inf(-1), 1, 5, 400, 3000, -0.1, -1, -30, -4000}
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 0))
		for _, step := range []time.Duration{time.Minute, 5 * time.Minute} {
			var samples []wire.Sample
			for at := time.Duration(0); at < 48*time.Hour; at += step {
				hour := at.Hours() - 24*math.Floor(at.Hours()/24)
				s := wire.Sample{Time: noon.Add(at), Count: 1}
				if hour >= 6 && hour < 18 {
					s.PVPowerW = 3000
				}
				kwh := 5000 + 36*math.Floor(at.Hours()/24) + 3*max(0, min(hour-6, 12))
				if r.IntN(300) == 0 {
					kwh = max(kwh+wrong[r.IntN(len(wrong))], 0)
				}
				s.PVTotalKWh = new(math.Round(10*kwh) / 10)
				samples = append(samples, s)
			}
			for size, n := range map[time.Duration]int{time.Hour: 48, 24 * time.Hour: 2} {
				if _, sum, _ := Column(tabled(noon, size, n, samples), PV); math.Abs(sum-72) > 0.2 {
					t.Errorf("seed %d, each %v: the periods of %v are %.2f kWh, want 72", seed, step, size, sum)
				}
			}
		}
	}
}
