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

// tabled makes the rows of n periods of that length from start, of all samples; the last two days before and the day after
// are beside them, as a store gives them.
func tabled(start time.Time, each time.Duration, n int, samples []wire.Sample) []Row {
	end := start.Add(time.Duration(n) * each)
	borders := []time.Time{start.Add(-48 * time.Hour)}
	for i := range n + 1 {
		borders = append(borders, start.Add(time.Duration(i)*each))
	}
	periods := laidOut(append(borders, end.Add(24*time.Hour)), samples)
	greatest := 0.0
	for i := range samples {
		greatest = max(greatest, GreatestW(&samples[i]))
	}
	return Table(periods[1:n+1], Around{Before: periods[0], After: periods[n+1], GreatestW: greatest})
}

// TestSumOfPeriodsIsTheDifferenceOfTheCounter for random outages of minutes to days, in hours and in days.
func TestSumOfPeriodsIsTheDifferenceOfTheCounter(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 40 {
		var samples []wire.Sample
		kwh, at := 20_000.0, noon.Add(-30*time.Hour)
		for at.Before(noon.Add(11 * 24 * time.Hour)) {
			s := counted(at, math.Floor(kwh*10)/10)
			s.PVPowerW = r.Float64() * 8000
			samples = append(samples, s)
			step := time.Minute
			if r.IntN(400) == 0 {
				step = time.Duration(r.Int64N((20*time.Hour).Milliseconds())+1) * time.Millisecond
			}
			at = at.Add(step)
			kwh += s.PVPowerW / 1000 * step.Hours()
		}
		for _, each := range []time.Duration{time.Hour, 24 * time.Hour} {
			n := int(10 * 24 * time.Hour / each)
			rows := tabled(noon, each, n, samples)
			values, total, from := Column(rows, PV)
			if from != Counted || len(values) != n {
				t.Fatalf("round %d: source %d", round, from)
			}
			// What the counter would show at the two borders, if it rose evenly between its readings; in a hole the powers on
			// its two sides tell something else.
			want := shown(samples, noon.Add(10*24*time.Hour)) - shown(samples, noon)
			if math.Abs(total-want) > 0.3 {
				t.Fatalf("round %d: %v of %v each are %v kWh, the counter rose %v", round, n, each, total, want)
			}
			for i := range rows {
				m := rows[i].Metered[PVTotal]
				if m.KWh < 0 || m.Spread > m.KWh+1e-9 || m.Spread < 0 || m.Time != each.Milliseconds() {
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
	rows := tabled(noon, day, 5, samples)
	for i, want := range []Metered{
		{KWh: 4 + 36*12.0/72, Spread: 6, Time: (23 * time.Hour).Milliseconds()},
		{KWh: 12, Spread: 12, Time: day.Milliseconds()},
		{KWh: 12, Spread: 12, Time: day.Milliseconds()},
		{KWh: 8, Spread: 6, Time: (18 * time.Hour).Milliseconds()},
		{},
	} {
		got := rows[i].Metered[PVTotal]
		if math.Abs(got.KWh-want.KWh) > 0.01 || math.Abs(got.Spread-want.Spread) > 0.01 || got.Time != want.Time {
			t.Errorf("day %d: %+v, want %+v", i, got, want)
		}
	}
	if c := rows[1].Coverage(KnowsPV, noon.Add(1000*time.Hour)); c != 0 {
		t.Errorf("a day without samples is covered to %v", c)
	}
	if _, from := rows[4].KWh(PV); from != Unknown {
		t.Errorf("the day after everything has a source: %v", from)
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
			return power(i, 100+float64(i)/20)
		}, Integrated, 3},
		"read only in the first half": {func(i int) wire.Sample {
			if i < 30 {
				return power(i, 100+float64(i)/20)
			}
			return power(i)
		}, Integrated, 3},
	} {
		var samples []wire.Sample
		for i := range 60 {
			samples = append(samples, c.sample(i))
		}
		values, total, from := Column(tabled(noon, time.Hour, 1, samples), PV)
		if from != c.from || math.Abs(total-c.want) > 0.06 || math.Abs(values[0]-total) > 1e-12 {
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
	values, total, from := Column(tabled(noon, time.Hour, 3, samples), PV)
	if from != Mixed || math.Abs(total-11.9) > 0.06 || !math.IsNaN(values[2]) {
		t.Errorf("%v, %v of source %d", values, total, from)
	}
}

func TestAbsentIsUnknownNotZero(t *testing.T) {
	var samples []wire.Sample
	for i := range 60 {
		samples = append(samples, wire.Sample{Time: noon.Add(time.Duration(i) * time.Minute), PVPowerW: 3000, LoadPowerW: new(1000.0), Count: 1})
	}
	rows := tabled(noon, time.Hour, 1, samples)
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
	all := [Knowledge]int64{hour, hour, hour, hour, hour, hour, hour, 0}
	of := func(flows map[int]float64) (r Rollup) {
		r.Covered = all
		for i, kwh := range flows {
			r.Energy[i] = kwh * 3.6e9
		}
		return r
	}
	day := map[int]float64{SolarHome: 3, SolarBattery: 2, SolarGrid: 5, BatteryHome: 3, GridHome: 2}
	half, blind, partial := of(day), of(day), of(day)
	half.Covered[KnowsFlows] = hour / 2
	blind.Covered[KnowsBattery], blind.Covered[KnowsBlind] = hour/2, hour/2
	short := of(day)
	short.Covered[KnowsBattery], short.Covered[KnowsBlind] = hour*95/100, hour*5/100
	short.part = [partly]float64{0, 0, 0, 1 * 3.6e9, 0, 1 * 3.6e9}
	partial.part = [partly]float64{1 * 3.6e9, 1 * 3.6e9, 1 * 3.6e9}
	none := math.NaN()
	for name, c := range map[string]struct {
		r                        Rollup
		consumption, sufficiency float64 // NaN for none
	}{
		"a day":                        {of(day), 0.5, 0.75},
		"nothing":                      {Rollup{}, none, none},
		"less than 0.05 kWh":           {of(map[int]float64{SolarHome: 0.049}), none, none},
		"just enough":                  {of(map[int]float64{SolarHome: 0.05}), 1, 1},
		"bought at night by a battery": {of(map[int]float64{GridHome: 2, GridBattery: 10, BatteryHome: 10}), none, 0},
		"sold by way of the battery":   {of(map[int]float64{SolarBattery: 10, BatteryGrid: 10}), 0, none},
		"heat is no consumption":       {of(map[int]float64{PV: 20, SolarGrid: 19.2, Unaccounted: 0.8}), 0, none},
		"flows for half of the time":   {half, none, none},
		"a battery for half of it":     {blind, none, none},
		"without battery for a while":  {short, 1 - 5/9.0, 1 - 1/6.0},
		"without a meter for a time":   {partial, 1 - 5/8.0, 1 - 2/6.0},
	} {
		for what, got := range map[string]func() (float64, bool){"self-consumption": c.r.SelfConsumption, "self-sufficiency": c.r.SelfSufficiency} {
			want := c.consumption
			if what == "self-sufficiency" {
				want = c.sufficiency
			}
			if v, ok := got(); ok == math.IsNaN(want) || ok && math.Abs(v-want) > 1e-9 {
				t.Errorf("%s: %s is %v %v, want %v", name, what, v, ok, want)
			}
		}
	}
}

func TestCoverageOfTheRunningPeriodIsUntilNow(t *testing.T) {
	p := Period{Start: noon, End: noon.Add(time.Hour)}
	p.Covered[KnowsPV], p.Last = (15 * time.Minute).Milliseconds(), noon.Add(15*time.Minute).UnixMilli()
	for after, want := range map[time.Duration]float64{
		30 * time.Minute: 0.5, time.Hour: 0.25, 100 * time.Hour: 0.25, 10 * time.Minute: 1, -time.Hour: 1,
	} {
		if got := p.Coverage(KnowsPV, noon.Add(after)); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v after its start: %v, want %v", after, got, want)
		}
	}
	if got := (&Period{Start: noon, End: noon.Add(time.Hour)}).Coverage(KnowsPV, noon.Add(-time.Hour)); got != 0 {
		t.Errorf("a period of the future: %v", got)
	}
}
