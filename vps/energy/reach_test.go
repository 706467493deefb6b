package energy

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"sunspool/wire"
)

// TestEnergyOfAConstantPowerIsPowerTimesTime however often it is polled.
func TestEnergyOfAConstantPowerIsPowerTimesTime(t *testing.T) {
	for _, poll := range []time.Duration{time.Second, 5 * time.Second, 10 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute} {
		var samples []wire.Sample
		for at := noon.Add(-time.Hour); at.Before(noon.Add(2 * time.Hour)); at = at.Add(poll) {
			samples = append(samples, wire.Sample{Time: at, PVPowerW: 4000, LoadPowerW: new(1000.0), BatteryPowerW: new(2000.0), ExportPowerW: new(1000.0), Count: 1})
		}
		r := laidOut([]time.Time{noon, noon.Add(time.Hour)}, samples)[0].Rollup
		for energy, want := range map[int]float64{PV: 4, Load: 1, Import: 0, Export: 1, Charge: 2, Discharge: 0,
			SolarHome: 1, SolarBattery: 2, SolarGrid: 1, BatteryHome: 0, GridHome: 0, Unaccounted: 0} {
			if got, ok := r.KWh(energy); !ok || math.Abs(got-want) > 1e-9 {
				t.Errorf("every %v: energy %d is %v kWh, want %v", poll, energy, got, want)
			}
		}
		if r.Covered[KnowsFlows] != time.Hour.Milliseconds() {
			t.Errorf("every %v: %d ms are covered", poll, r.Covered[KnowsFlows])
		}
	}
}

func TestHoleIsNotCovered(t *testing.T) {
	minutes := func(all ...int) (samples []wire.Sample) {
		for _, m := range all {
			samples = append(samples, wire.Sample{Time: noon.Add(time.Duration(m) * time.Minute), PVPowerW: 60_000, Count: 1})
		}
		return samples
	}
	for _, c := range []struct {
		what    string
		minutes []int
		covered time.Duration
	}{
		{"nothing", nil, 0},
		{"a sample alone speaks for 5 s", []int{7}, 5 * time.Second},
		{"one a minute, none from :10 to :30", []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59}, 40*time.Minute - 30*time.Second}, // before :00 is another period
	} {
		r := rollupOf(noon, noon.Add(time.Hour), minutes(c.minutes...))
		if got := time.Duration(r.Covered[KnowsPV]) * time.Millisecond; got != c.covered {
			t.Errorf("%s: %v are covered, want %v", c.what, got, c.covered)
		}
		if got, want := r.Energy[PV], 60_000*float64(c.covered.Milliseconds()); got != want {
			t.Errorf("%s: %v W·ms, want %v", c.what, got, want)
		}
	}
}

func TestSampleSpeaksAsLongAsItsSenderTakes(t *testing.T) {
	for _, c := range []struct {
		count    int
		interval time.Duration
		after    time.Duration // noon
		covered  time.Duration
	}{
		{1, 0, 30 * time.Minute, 5 * time.Second},
		{2, 0, 30 * time.Minute, 10 * time.Second},
		{12, 0, 30 * time.Minute, time.Minute},
		{12, 0, 0, 30 * time.Second}, // the other half is before noon
		{180, 0, 30 * time.Minute, 15 * time.Minute},
		{720, 0, 30 * time.Minute, time.Hour},
		{17280, 0, 30 * time.Minute, time.Hour}, // a day in one sample: no edge is as slow
		{1, 10 * time.Minute, 30 * time.Minute, 10 * time.Minute},
		{12, 20 * time.Second, 30 * time.Minute, time.Minute},
		{1, time.Hour, 45 * time.Minute, 45 * time.Minute},
	} {
		r := rollupOf(noon, noon.Add(time.Hour), []wire.Sample{{Time: noon.Add(c.after), PVPowerW: 3000, LoadPowerW: new(600.0), Count: c.count, Interval: c.interval}})
		if got := time.Duration(r.Covered[KnowsLoad]) * time.Millisecond; got != c.covered {
			t.Errorf("%d raw samples every %v, %v after noon: %v are covered, want %v", c.count, c.interval, c.after, got, c.covered)
		}
		if kwh, _ := r.KWh(PV); math.Abs(kwh-3*c.covered.Hours()) > 1e-9 {
			t.Errorf("%d raw samples: %v kWh", c.count, kwh)
		}
	}
}

// TestHoursAreJoined: a sample speaks across the full hour like across any other time.
func TestHoursAreJoined(t *testing.T) {
	var samples []wire.Sample
	for at := noon; at.Before(noon.Add(3 * time.Hour)); at = at.Add(5 * time.Minute) { // means, stamped where they begin
		watts := 0.0
		if at.Minute() == 0 {
			watts = 6000
		}
		samples = append(samples, wire.Sample{Time: at, PVPowerW: watts, Count: 60})
	}
	periods := laidOut([]time.Time{noon, noon.Add(time.Hour), noon.Add(2 * time.Hour)}, samples)
	for i, want := range []float64{0.5, 0.5} {
		if kwh, _ := periods[i].KWh(PV); math.Abs(kwh-want) > 1e-9 || periods[i].Covered[KnowsPV] != hourMS {
			t.Errorf("hour %d: %v kWh, %d ms are covered", i, kwh, periods[i].Covered[KnowsPV])
		}
	}
}

// TestNeighboursNearerThanASecondAreOne: what was sent twice, with other milliseconds, says the same.
func TestNeighboursNearerThanASecondAreOne(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 15))
	var once, twice []wire.Sample
	for i := range 240 {
		if i/15%3 == 1 {
			continue // a hole of a quarter of an hour
		}
		s := wire.Sample{Time: noon.Add(time.Duration(i) * time.Minute), PVPowerW: float64(i), Count: 1}
		once = append(once, s)
		again := s
		again.Time = s.Time.Add(time.Duration(1+r.IntN(900)) * time.Millisecond)
		twice = append(twice, s, again)
	}
	a, b := rollupOf(noon, noon.Add(4*time.Hour), once), rollupOf(noon, noon.Add(4*time.Hour), twice)
	if math.Abs(a.Energy[PV]-b.Energy[PV]) > 0.002*a.Energy[PV] || math.Abs(float64(a.Covered[KnowsPV]-b.Covered[KnowsPV])) > 20_000 {
		t.Errorf("once %v W·ms in %d ms, twice %v in %d", a.Energy[PV], a.Covered[KnowsPV], b.Energy[PV], b.Covered[KnowsPV])
	}
}

// TestEachSampleSpeaksForItsOwnDistance, where the interval of a sender changes.
func TestEachSampleSpeaksForItsOwnDistance(t *testing.T) {
	var samples []wire.Sample
	half := noon.Add(30 * time.Minute)
	for at := noon.Add(2500 * time.Millisecond); at.Before(half); at = at.Add(5 * time.Second) {
		samples = append(samples, wire.Sample{Time: at, PVPowerW: 1000, Count: 1})
	}
	for at := half.Add(30 * time.Second); at.Before(noon.Add(time.Hour)); at = at.Add(time.Minute) {
		samples = append(samples, wire.Sample{Time: at, PVPowerW: 3000, Count: 1})
	}
	r := rollupOf(noon, noon.Add(time.Hour), samples)
	if mean, _ := r.Mean(PV); mean != 2000 || r.Covered[KnowsPV] != hourMS {
		t.Errorf("%v W in %d ms", mean, r.Covered[KnowsPV])
	}
}

func TestSlowSamplesWithoutAWordAreNoHoles(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for name, c := range map[string]struct {
		next func() time.Duration
		hole bool
	}{
		"every quarter of an hour": {func() time.Duration { return 15 * time.Minute }, false},
		"five to seven minutes":    {func() time.Duration { return time.Duration(300+30*r.IntN(5)) * time.Second }, false},
		"every 40 minutes":         {func() time.Duration { return 40 * time.Minute }, true},
	} {
		var samples []wire.Sample
		for at := noon; at.Before(noon.Add(24 * time.Hour)); at = at.Add(c.next()) {
			samples = append(samples, wire.Sample{Time: at, PVPowerW: 1000, Count: 1})
		}
		day := rollupOf(noon, noon.Add(24*time.Hour), samples)
		if kwh, _ := day.KWh(PV); c.hole != (kwh < 1) || !c.hole && kwh < 23.4 {
			t.Errorf("%s: %v kWh of 24", name, kwh)
		}
	}
}

// TestSlowPollsAreIntegrated: a poll every five minutes, early or late by some seconds, is no hole.
func TestSlowPollsAreIntegrated(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	for _, poll := range []time.Duration{time.Minute, 150 * time.Second, 4 * time.Minute, 5 * time.Minute} {
		var samples []wire.Sample
		for at := noon; at.Before(noon.Add(24 * time.Hour)); at = at.Add(poll) {
			late := time.Duration(r.Int64N(int64(20 * time.Second)))
			watts := float64(at.Sub(noon) / time.Minute) // a ramp from 0 to 1440 W: 17.28 kWh
			samples = append(samples, wire.Sample{Time: at.Add(late).Truncate(time.Millisecond), PVPowerW: watts, Count: 1})
		}
		day := rollupOf(noon, noon.Add(24*time.Hour), samples)
		if covered := time.Duration(day.Covered[KnowsPV]) * time.Millisecond; covered < 23*time.Hour+50*time.Minute || covered > 24*time.Hour {
			t.Errorf("every %v: %v of a day are covered", poll, covered)
		}
		if kwh, _ := day.KWh(PV); math.Abs(kwh-17.28) > 0.15 {
			t.Errorf("every %v: %v kWh, want 17.28", poll, kwh)
		}
	}
}
