package energy

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"sunspool/wire"
)

// minutely are samples of a unit of 6 kW, one a minute from noon on, whose PV counter shows what is given; NaN is none.
func minutely(kwh ...float64) (samples []wire.Sample) {
	for i, v := range kwh {
		s := wire.Sample{Time: noon.Add(time.Duration(i) * time.Minute), Count: 1, LoadPowerW: new(6000.0)}
		if !math.IsNaN(v) {
			s.PVTotalKWh = &v
		}
		samples = append(samples, s)
	}
	return samples
}

// times repeats readings.
func times(n int, kwh ...float64) (all []float64) {
	for range n {
		all = append(all, kwh...)
	}
	return all
}

// rising are n readings from one on, each some more than the one before.
func rising(n int, from, step float64) (all []float64) {
	for i := range n {
		all = append(all, math.Round((from+float64(i)*step)*1000)/1000)
	}
	return all
}

func join(parts ...[]float64) (all []float64) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// counterCases are readings a minute apart, and what was made.
var counterCases = map[string]struct {
	readings []float64
	want     float64
}{
	"grows":                           {rising(40, 100, 0.05), 1.95},
	"stands":                          {times(40, 100), 0},
	"trembles by its last digit":      {times(30, 100, 100.1), 0.1},
	"trembles by a whole one":         {join(times(15, 100), times(30, 101, 100), times(12, 101)), 1},
	"a dip of one reading":            {join(times(20, 100), times(1, 99), times(20, 100.1)), 0.1},
	"dips that come back":             {join(times(9, 100), times(8, 60), times(5, 100.1), times(8, 99), times(5, 100.2)), 0.2},
	"old values between new ones":     {times(20, 100, 98.4, 100, 99.2), 0},
	"readings of 0":                   {join(times(20, 100), times(12, 0), times(20, 100.1)), 0.1},
	"one reading of 400":              {join(times(20, 100), times(1, 400), times(20, 100.1)), 0.1},
	"two readings of 400":             {join(times(20, 100), times(2, 400), times(20, 100.1)), 0.1},
	"a few too much, but possible":    {join(times(60, 100), times(1, 104), times(20, 100.1)), 0.1},
	"a few too much, twice":           {join(times(60, 100), times(2, 104), times(20, 100.1)), 0.1},
	"a new counter":                   {join(rising(20, 100, 0.05), rising(21, 0.1, 0.05)), 1.95},
	"a reset that stands":             {join(times(20, 100), times(20, 50)), 0},
	"an older inverter":               {join(rising(20, 100, 0.05), rising(21, 9000, 0.05)), 1.95},
	"after a hole":                    {join(times(20, 100), times(30, math.NaN()), times(20, 102)), 2},
	"another one after a hole":        {join(times(20, 100), times(30, math.NaN()), times(20, 1746)), 0},
	"a wrong one after a hole":        {join(times(20, 100), times(30, math.NaN()), times(1, 500), times(20, 102)), 2},
	"wrong again and again":           {join(times(20, 100), times(5, 400, 100.1)), 0.1},
	"a low one first":                 {join(times(1, 3), times(40, 100)), 0},
	"a high one first":                {join(times(1, 300), rising(40, 100, 0.05)), 1.95},
	"whole kWh":                       {join(times(15, 700), times(15, 701), times(15, 702)), 2},
	"to a new one that stays briefly": {join(times(20, 100), times(5, 7)), 0},
	"NaN between":                     {join(times(5, 100), times(1, math.NaN()), times(5, 100.1)), 0.1},
}

// TestCounterIsBelievedByItsHighWaterMark whatever the periods are, and wherever the case begins in an hour.
func TestCounterIsBelievedByItsHighWaterMark(t *testing.T) {
	for name, c := range counterCases {
		for _, shift := range []time.Duration{0, 37 * time.Minute, 52*time.Minute + 20*time.Second} {
			samples := minutely(c.readings...)
			for i := range samples {
				samples[i].Time = samples[i].Time.Add(shift)
			}
			for _, each := range []time.Duration{5 * time.Minute, time.Hour, 4 * time.Hour} {
				_, total, from := Column(tabled(noon, each, int(4*time.Hour/each), samples), PV)
				if math.Abs(total-c.want) > 0.001 || from != Counted && from != Mixed {
					t.Errorf("%s, from +%v, in periods of %v: %v kWh of source %v, want %v", name, shift, each, total, from, c.want)
				}
			}
		}
	}
}

// TestCounterDoesNotDependOnTheCut: two questions are as much as one, wherever the border is.
func TestCounterDoesNotDependOnTheCut(t *testing.T) {
	for name, c := range counterCases {
		samples := minutely(c.readings...)
		for cut := 5 * time.Minute; cut < 2*time.Hour; cut += 5 * time.Minute {
			_, first, _ := Column(tabled(noon.Add(-time.Hour), time.Hour+cut, 1, samples), PV)
			_, second, _ := Column(tabled(noon.Add(cut), 4*time.Hour-cut, 1, samples), PV)
			if math.Abs(first+second-c.want) > 0.1 {
				t.Errorf("%s, cut at %v: %v and %v kWh, want %v", name, cut, first, second, c.want)
			}
		}
	}
}

// TestCounterSaysHowMuchAndPowersWhen: of a counter of whole kWh.
func TestCounterSaysHowMuchAndPowersWhen(t *testing.T) {
	var samples []wire.Sample
	made := 700.3
	start := noon.Add(-72 * time.Hour)
	for at := start; at.Before(noon.Add(96 * time.Hour)); at = at.Add(time.Minute) {
		watts := 0.0
		if h := at.Hour(); h >= 11 && h < 15 {
			watts = 400
		}
		samples = append(samples, wire.Sample{Time: at.Add(30 * time.Second), PVPowerW: watts, PVTotalKWh: new(math.Floor(made)), Count: 1})
		made += watts / 60_000
	}
	midnight := noon.Add(-12 * time.Hour)
	for _, r := range tabled(midnight, 24*time.Hour, 3, samples) {
		if kwh, from := r.KWh(PV); math.Abs(kwh-1.6) > 0.05 || from != Counted {
			t.Errorf("%v: %v kWh, want 1.6", r.Start, kwh)
		}
	}
	for _, r := range tabled(midnight.Add(24*time.Hour), time.Hour, 24, samples) {
		want := 0.0
		if h := r.Start.Hour(); h >= 11 && h < 15 {
			want = 0.4
		}
		if kwh, _ := r.KWh(PV); math.Abs(kwh-want) > 0.03 {
			t.Errorf("%v: %v kWh, want %v", r.Start, kwh, want)
		}
	}
	one := 0.0
	for i := range 3 {
		_, kwh, _ := Column(tabled(midnight.Add(time.Duration(i)*24*time.Hour), 24*time.Hour, 1, samples), PV)
		one += kwh
	}
	if _, all, _ := Column(tabled(midnight, 24*time.Hour, 3, samples), PV); math.Abs(all-one) > 0.05 {
		t.Errorf("three days are %v kWh, one by one %v", all, one)
	}
}

// TestCounterMayBeMinutesLate: the powers explain what it rises at once, and what it does not show yet.
func TestCounterMayBeMinutesLate(t *testing.T) {
	samples := minutely(join(times(15, 100), times(15, 101.5), times(15, 103))...)
	for i := range samples {
		samples[i].PVPowerW = 6000
	}
	if _, total, _ := Column(tabled(noon, time.Hour, 1, samples), PV); math.Abs(total-4.2) > 0.25 {
		t.Errorf("%v kWh in 44 minutes", total)
	}
}

// TestReplacedWhileIdle: a counter that stood for hours may not rise by all that could have been made in them.
func TestReplacedWhileIdle(t *testing.T) {
	var samples []wire.Sample
	for i := range 70 {
		s := wire.Sample{Time: noon.Add(time.Duration(i) * 15 * time.Minute), LoadPowerW: new(6000.0), Count: 1, PVTotalKWh: new(100.0)}
		if i >= 30 {
			s.PVTotalKWh = new(166.0)
		}
		samples = append(samples, s)
	}
	if _, total, _ := Column(tabled(noon, time.Hour, 24, samples), PV); total > 0.01 {
		t.Errorf("%v kWh", total)
	}
}

// quarterly are samples as minutely, but four in an hour.
func quarterly(kwh ...float64) []wire.Sample {
	samples := minutely(kwh...)
	for i := range samples {
		samples[i].Time = noon.Add(time.Duration(i) * 15 * time.Minute)
	}
	return samples
}

// TestSmallWrongReadingsOfSlowPolls, that could be right by the time that passed: what comes after them decides.
func TestSmallWrongReadingsOfSlowPolls(t *testing.T) {
	for name, c := range map[string]struct {
		readings []float64
		want     float64
	}{
		"one too high":            {join(times(30, 100), times(1, 100.5), times(30, 100)), 0},
		"one much too high":       {join(times(30, 100), times(1, 101.1), times(30, 100)), 0},
		"a shallow dip":           {join(times(30, 1.1), times(8, 0.9), times(30, 1.1)), 0},
		"a short one":             {join(times(30, 1.1), times(3, 0.8), times(30, 1.1)), 0},
		"a dip while it rises":    {join(rising(30, 100, 0.5), times(2, 113.9), rising(20, 116, 0.5)), 25.5},
		"trembling both ways":     {join(times(20, 100), times(1, 99.9, 100.1, 99.9, 100, 99.9), times(20, 100.1)), 0.1},
		"too high while it rises": {join(rising(30, 100, 0.5), times(1, 116), rising(20, 115.5, 0.5)), 25},
	} {
		samples := quarterly(c.readings...)
		for _, each := range []time.Duration{time.Hour, 24 * time.Hour} {
			if _, total, _ := Column(tabled(noon, each, int(24*time.Hour/each), samples), PV); math.Abs(total-c.want) > 0.001 {
				t.Errorf("%s, in periods of %v: %v kWh, want %v", name, each, total, c.want)
			}
		}
	}
}

// TestNightHasNoSun: what rose in a hole is placed where the unit's other days made it.
func TestNightHasNoSun(t *testing.T) {
	sun := func(at time.Time) float64 {
		if h := at.Hour(); h >= 6 && h < 18 {
			return 2000
		}
		return 0
	}
	var samples []wire.Sample
	var profile Profile
	made := 1000.0
	midnight := noon.Add(-12 * time.Hour)
	for at := midnight; at.Before(midnight.Add(48 * time.Hour)); at = at.Add(time.Minute) {
		if h := at.Sub(midnight).Hours(); h < 15 || h >= 33 {
			samples = append(samples, wire.Sample{Time: at, PVPowerW: sun(at), PVTotalKWh: new(math.Round(made*100) / 100), Count: 1})
		}
		made += sun(at) / 60_000
	}
	var borders []time.Time
	for i := range 49 {
		borders = append(borders, midnight.Add(time.Duration(i)*time.Hour))
	}
	hours := laidOut(borders, samples)
	for i := range hours {
		profile.Add(&hours[i])
	}
	rows := Table(hours, Around{GreatestW: 2000, Profile: func(int64, int64) *Profile { return &profile }})
	_, total, _ := Column(rows, PV)
	if math.Abs(total-48) > 0.1 {
		t.Errorf("%v kWh in all, want 48", total)
	}
	for _, r := range rows {
		if kwh, _ := r.KWh(PV); math.Abs(kwh-sun(r.Start)/1000) > 0.05 {
			t.Errorf("%v: %v kWh, %v of them spread", r.Start, kwh, r.Metered[PVTotal].Spread)
		}
	}
}

// TestLevelsAreBounded, and read back, of a counter that makes no sense.
func TestLevelsAreBounded(t *testing.T) {
	r := rand.New(rand.NewPCG(41, 42))
	for range 200 {
		var all []float64
		for range 400 {
			all = append(all, math.Round(r.ExpFloat64()*10000)/10)
		}
		samples := minutely(all...)
		want := bareOf(noon, noon.Add(24*time.Hour), samples)
		if n := len(want.Counters[PVTotal].earlier); n >= mostLevels {
			t.Fatalf("%d levels", n+1)
		}
		var got Rollup
		if !got.Read(want.Append(nil)) {
			t.Fatal("cannot be read")
		}
		if d := difference(&got, &want); d != "" {
			t.Fatal(d)
		}
	}
}

// TestRisingCounterAllocatesNothing, nor one that stands: a rollup is made of each sample.
func TestRisingCounterAllocatesNothing(t *testing.T) {
	var c Counter
	var l Level
	if n := testing.AllocsPerRun(1000, func() {
		l.First += minute
		l.Low += float64(l.First / minute % 2)
		c.push(Level{First: l.First, Since: l.First, Last: l.First, Low: l.Low, High: l.Low, N: 1, enter: kWh * l.Low}, 6000)
	}); n > 0 || c.N != 1001 {
		t.Errorf("%v allocations a reading, %d levels", n, len(c.earlier)+1)
	}
}
