package energy

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"sunspool/wire"
)

// counted is a sample of a unit whose PV counter shows kwh.
func counted(t time.Time, kwh float64) wire.Sample {
	return wire.Sample{Time: t, PVPowerW: 0, PVTotalKWh: &kwh, Count: 1}
}

// tabled makes the periods of length each from start, and the readings around them, of all samples.
func tabled(start time.Time, each time.Duration, n int, samples []wire.Sample) (periods []Period, before, after [Counters]Reading) {
	end := start.Add(time.Duration(n) * each)
	for i := range samples {
		if at := samples[i].Time; at.Before(start) {
			before = ReadingsOf(&samples[i])
		} else if !at.Before(end) {
			after = ReadingsOf(&samples[i])
			break
		}
	}
	for i := range n {
		p := Period{Start: start.Add(time.Duration(i) * each), End: start.Add(time.Duration(i+1) * each)}
		p.Rollup = rollupOf(p.Start, p.End, samples)
		periods = append(periods, p)
	}
	return periods, before, after
}

// TestSumOfPeriodsIsTheDifferenceOfTheCounter for random outages of minutes to days, in hours and in days.
func TestSumOfPeriodsIsTheDifferenceOfTheCounter(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		var samples []wire.Sample
		kwh, at := 20_000.0, noon.Add(-30*time.Hour)
		for at.Before(noon.Add(15 * 24 * time.Hour)) {
			samples = append(samples, counted(at, math.Floor(kwh*10)/10))
			step := time.Minute
			if r.IntN(400) == 0 {
				step = time.Duration(r.Int64N((80*time.Hour).Milliseconds())+1) * time.Millisecond
			}
			at = at.Add(step)
			kwh += r.Float64() * 8 * step.Hours()
		}
		for _, each := range []time.Duration{time.Hour, 24 * time.Hour} {
			n := int(10 * 24 * time.Hour / each)
			periods, before, after := tabled(noon, each, n, samples)
			rows := Table(periods, before, after)
			values, total, from := Column(rows, PV)
			if from != Counted || len(values) != n {
				t.Fatalf("round %d: source %d", round, from)
			}
			// What the counter would show at the two borders, if it rose evenly between its readings.
			want := shown(samples, noon.Add(10*24*time.Hour)) - shown(samples, noon)
			if math.Abs(total-want) > 1e-6 {
				t.Fatalf("round %d: %v of %v each are %v kWh, the counter rose %v", round, n, each, total, want)
			}
			for i := range rows {
				m := rows[i].Metered[PVTotal]
				if m.KWh < 0 || m.Spread > m.KWh+1e-9 || m.Time != each.Milliseconds() {
					t.Fatalf("round %d, row %d: %+v", round, i, m)
				}
			}
		}
	}
}

func shown(samples []wire.Sample, at time.Time) float64 {
	for i := range samples[1:] {
		a, b := &samples[i], &samples[i+1]
		if b.Time.After(at) {
			part := float64(at.Sub(a.Time)) / float64(b.Time.Sub(a.Time))
			return *a.PVTotalKWh + part*(*b.PVTotalKWh-*a.PVTotalKWh)
		}
	}
	return math.NaN()
}

func TestOutageIsSharedOutAndSaid(t *testing.T) {
	day := 24 * time.Hour
	samples := []wire.Sample{
		counted(noon.Add(1*time.Hour), 100), counted(noon.Add(12*time.Hour), 104), // day 0: 4 kWh, then nothing for 72 h
		counted(noon.Add(84*time.Hour), 140), counted(noon.Add(90*time.Hour), 142), // day 3: 2 kWh
	}
	periods, before, after := tabled(noon, day, 5, samples)
	rows := Table(periods, before, after)
	for i, want := range []Metered{
		{KWh: 4 + 36*12.0/72, Spread: 6, Time: (23 * time.Hour).Milliseconds()},
		{KWh: 12, Spread: 12, Time: day.Milliseconds()},
		{KWh: 12, Spread: 12, Time: day.Milliseconds()},
		{KWh: 8, Spread: 6, Time: (18 * time.Hour).Milliseconds()},
		{},
	} {
		got := rows[i].Metered[PVTotal]
		if math.Abs(got.KWh-want.KWh) > 1e-9 || math.Abs(got.Spread-want.Spread) > 1e-9 || got.Time != want.Time {
			t.Errorf("day %d: %+v, want %+v", i, got, want)
		}
	}
	if c := rows[1].Coverage(noon.Add(1000 * time.Hour)); c != 0 {
		t.Errorf("a day without samples is covered to %v", c)
	}
	if _, from := rows[4].KWh(PV); from != Unknown {
		t.Errorf("the day after everything has a source: %v", from)
	}
}

func TestCountersThatChangeGiveNothingForTheStep(t *testing.T) {
	minute := func(i int, kwh float64) wire.Sample { return counted(noon.Add(time.Duration(i)*time.Minute), kwh) }
	for name, c := range map[string]struct {
		samples []wire.Sample
		want    float64
	}{
		"grows":                   {[]wire.Sample{minute(0, 100), minute(1, 100.1), minute(59, 103)}, 3},
		"replaced by a new one":   {[]wire.Sample{minute(0, 100), minute(10, 101), minute(20, 0.5), minute(30, 2)}, 2.5},
		"replaced by an old one":  {[]wire.Sample{minute(0, 100), minute(10, 101), minute(20, 9000), minute(30, 9001)}, 2},
		"one reading of 0":        {[]wire.Sample{minute(0, 100), minute(10, 101), minute(20, 0), minute(30, 101.5), minute(40, 102)}, 1.5},
		"goes back by one step":   {[]wire.Sample{minute(0, 100), minute(10, 101), minute(20, 100.9), minute(30, 101.9)}, 2},
		"late by minutes":         {[]wire.Sample{minute(0, 100), minute(10, 100), minute(10, 100), minute(11, 100.9)}, 0.9},
		"replaced over a border":  {[]wire.Sample{minute(-30, 500), minute(0, 1), minute(30, 2)}, 1},
		"replaced over the other": {[]wire.Sample{minute(0, 100), minute(30, 102), minute(90, 1)}, 2},
	} {
		periods, before, after := tabled(noon, time.Hour, 1, c.samples)
		rows := Table(periods, before, after)
		if got := rows[0].Metered[PVTotal].KWh; math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %v kWh, want %v", name, got, c.want)
		}
	}
}

func TestCounterThatIsAbsentLeavesTheFieldToTheIntegral(t *testing.T) {
	power := func(i int, counter ...float64) wire.Sample {
		s := wire.Sample{Time: noon.Add(time.Duration(i) * time.Minute), PVPowerW: 3000, Count: 1}
		if counter != nil {
			s.PVTotalKWh = &counter[0]
		}
		return s
	}
	for name, c := range map[string]struct {
		sample func(i int) wire.Sample
		from   Source
		want   float64
	}{
		"counter": {func(i int) wire.Sample { return power(i, 100+float64(i/2)/10) }, Counted, 2.9},
		"none":    {func(i int) wire.Sample { return power(i) }, Integrated, 3},
		"always 0, as a dongle reads what is not there": {func(i int) wire.Sample { return power(i, 0) }, Integrated, 3},
		"read only in the second half": {func(i int) wire.Sample {
			if i < 30 {
				return power(i)
			}
			return power(i, 100+float64(i)/10)
		}, Integrated, 3},
	} {
		var samples []wire.Sample
		for i := range 60 {
			samples = append(samples, c.sample(i))
		}
		periods, before, after := tabled(noon, time.Hour, 1, samples)
		values, total, from := Column(Table(periods, before, after), PV)
		if from != c.from || math.Abs(total-c.want) > 0.011 || math.Abs(values[0]-total) > 1e-12 {
			t.Errorf("%s: %v kWh of source %d, want %v of %d", name, total, from, c.want, c.from)
		}
	}
}

func TestColumnOfBothSourcesIsMixed(t *testing.T) {
	var samples []wire.Sample
	for i := range 120 {
		s := wire.Sample{Time: noon.Add(time.Duration(i) * time.Minute), PVPowerW: 6000, Count: 1}
		if i >= 60 {
			s.PVTotalKWh = new(100 + float64(i)/10)
		}
		samples = append(samples, s)
	}
	periods, before, after := tabled(noon, time.Hour, 3, samples)
	values, total, from := Column(Table(periods, before, after), PV)
	if from != Mixed || math.Abs(total-11.9) > 0.05 || !math.IsNaN(values[2]) {
		t.Errorf("%v, %v of source %d", values, total, from)
	}
}

func TestAbsentIsUnknownNotZero(t *testing.T) {
	var samples []wire.Sample
	for i := range 60 {
		samples = append(samples, wire.Sample{Time: noon.Add(time.Duration(i) * time.Minute), PVPowerW: 3000, LoadPowerW: new(1000.0), Count: 1})
	}
	periods, before, after := tabled(noon, time.Hour, 1, samples)
	rows := Table(periods, before, after)
	for energy, known := range map[int]bool{PV: true, Load: true, SolarHome: true, Import: false, Export: false, Charge: false, Discharge: false,
		SolarBattery: false, BatteryHome: false, SolarGrid: false, GridHome: false, GridBattery: false, BatteryGrid: false, Unaccounted: false} {
		if _, from := rows[0].KWh(energy); (from != Unknown) != known {
			t.Errorf("energy %d has source %d", energy, from)
		}
		if _, ok := rows[0].Mean(energy); ok != known {
			t.Errorf("mean of %d is known: %v", energy, ok)
		}
	}
	if v, ok := rows[0].SelfConsumption(); ok {
		t.Errorf("self-consumption without a meter is %v", v)
	}
	if v, ok := rows[0].SelfSufficiency(); ok {
		t.Errorf("self-sufficiency without a meter is %v", v)
	}
}

func TestShares(t *testing.T) {
	hour := int64(3_600_000)
	all := [knowledge]int64{hour, hour, hour, hour, hour}
	of := func(pv, solarGrid, load, gridHome float64) (r Rollup) {
		r.Covered = all
		r.Energy[PV], r.Energy[SolarGrid], r.Energy[Load], r.Energy[GridHome] = pv*3.6e9, solarGrid*3.6e9, load*3.6e9, gridHome*3.6e9
		return r
	}
	half := of(10, 5, 8, 2)
	half.Covered[KnowsFlows] = hour / 2
	for name, c := range map[string]struct {
		r                        Rollup
		consumption, sufficiency float64 // NaN for none
	}{
		"a day":                      {of(10, 5, 8, 2), 0.5, 0.75},
		"nothing":                    {Rollup{}, math.NaN(), math.NaN()},
		"less than 0.05 kWh":         {of(0.049, 0, 0.049, 0), math.NaN(), math.NaN()},
		"just enough":                {of(0.05, 0, 0.05, 0), 1, 1},
		"more than there is":         {of(1, 1.1, 1, 1.2), 0, 0},
		"flows for half of the time": {half, math.NaN(), math.NaN()},
	} {
		consumption, ok := c.r.SelfConsumption()
		if ok == math.IsNaN(c.consumption) || ok && consumption != c.consumption {
			t.Errorf("%s: self-consumption %v %v, want %v", name, consumption, ok, c.consumption)
		}
		sufficiency, ok := c.r.SelfSufficiency()
		if ok == math.IsNaN(c.sufficiency) || ok && sufficiency != c.sufficiency {
			t.Errorf("%s: self-sufficiency %v %v, want %v", name, sufficiency, ok, c.sufficiency)
		}
	}
}

func TestCoverageOfTheRunningPeriodIsUntilNow(t *testing.T) {
	p := Period{Start: noon, End: noon.Add(time.Hour)}
	p.Covered[KnowsPV], p.Last = (15 * time.Minute).Milliseconds(), noon.Add(15*time.Minute).UnixMilli()
	for after, want := range map[time.Duration]float64{
		30 * time.Minute: 0.5, time.Hour: 0.25, 100 * time.Hour: 0.25, 10 * time.Minute: 1, -time.Hour: 1,
	} {
		if got := p.Coverage(noon.Add(after)); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v after its start: %v, want %v", after, got, want)
		}
	}
	if got := (&Period{Start: noon, End: noon.Add(time.Hour)}).Coverage(noon.Add(-time.Hour)); got != 0 {
		t.Errorf("a period of the future: %v", got)
	}
}
