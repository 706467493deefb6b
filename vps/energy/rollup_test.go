package energy

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"sunspool/wire"
)

var noon = time.Date(2026, 7, 14, 12, 0, 0, 0, time.UTC)

// baseOf is the base rollup of the samples in [start, end), which lies in one Base.
func baseOf(start, end time.Time, samples []wire.Sample) (r Rollup) {
	for i := range samples {
		if at := samples[i].Time; !at.Before(start) && at.Before(end) {
			r.Add(&samples[i])
		}
	}
	return r
}

// laidOut are the periods between borders, of samples in ascending order; those outside of them speak into them, too.
func laidOut(borders []time.Time, samples []wire.Sample) []Period {
	periods := make([]Period, len(borders)-1)
	for i := range periods {
		periods[i] = Period{Start: borders[i], End: borders[i+1]}
	}
	var outside Period
	of := func(at time.Time) (p *Period, until time.Time) {
		i, found := slices.BinarySearchFunc(borders, at, time.Time.Compare)
		switch {
		case found && i < len(periods):
			return &periods[i], borders[i+1]
		case i == 0:
			return &outside, borders[0]
		case i == len(borders) || found:
			return &outside, at.Add(1000 * time.Hour)
		}
		return &periods[i-1], borders[i]
	}
	line := Line{Account: func(at int64) (*Rollup, int64) {
		p, until := of(time.UnixMilli(at).UTC())
		return &p.Rollup, until.UnixMilli()
	}}
	for len(samples) > 0 {
		_, until := of(samples[0].Time)
		if base := samples[0].Time.Truncate(Base).Add(Base); base.Before(until) {
			until = base
		}
		n := 0
		for n < len(samples) && samples[n].Time.Before(until) {
			n++
		}
		r := baseOf(samples[0].Time, until, samples[:n])
		line.AddBase(&r)
		samples = samples[n:]
	}
	line.End()
	return periods
}

// rollupOf is the rollup of a period in which all samples are.
func rollupOf(start, end time.Time, samples []wire.Sample) Rollup {
	return laidOut([]time.Time{start, end}, within(start, end, samples))[0].Rollup
}

// bareOf sums the base rollups of [start, end), as a store does.
func bareOf(start, end time.Time, samples []wire.Sample) Rollup {
	samples = within(start, end, samples)
	var sum Sum
	for len(samples) > 0 {
		until := samples[0].Time.Truncate(Base).Add(Base)
		n := 0
		for n < len(samples) && samples[n].Time.Before(until) {
			n++
		}
		r := baseOf(samples[0].Time, until, samples[:n])
		sum.AddBase(&r)
		samples = samples[n:]
	}
	return sum.Rollup()
}

func within(start, end time.Time, samples []wire.Sample) []wire.Sample {
	i, _ := slices.BinarySearchFunc(samples, start, func(s wire.Sample, t time.Time) int { return s.Time.Compare(t) })
	j, _ := slices.BinarySearchFunc(samples, end, func(s wire.Sample, t time.Time) int { return s.Time.Compare(t) })
	return samples[i:j]
}

// anySamples are some of random powers at random times in a span; any field may be absent.
func anySamples(r *rand.Rand, start time.Time, span time.Duration, n int) []wire.Sample {
	samples := make([]wire.Sample, n)
	for i := range samples {
		s := &samples[i]
		s.Time = start.Add(time.Duration(r.Int64N(span.Milliseconds())) * time.Millisecond)
		s.PVPowerW, s.Count = r.Float64()*10_000-500, 1+r.IntN(12)
		for _, f := range wire.Fields[1:] {
			if r.IntN(4) > 0 {
				f.Set(s, new(math.Round(r.Float64()*100_000-50_000)/10))
			}
		}
	}
	slices.SortFunc(samples, func(a, b wire.Sample) int { return a.Time.Compare(b.Time) })
	return slices.CompactFunc(samples, func(a, b wire.Sample) bool { return a.Time.Equal(b.Time) })
}

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

// TestFlowsExplainTheirNodes for any powers: none is negative, none is more than its ends, and their sums are the nodes
// but for what is unaccounted for.
func TestFlowsExplainTheirNodes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const eps = 1e-6
	for range 100_000 {
		pv, load, battery, export := r.Float64()*10_000, r.Float64()*10_000, r.Float64()*10_000-5000, r.Float64()*10_000-5000
		if r.IntN(2) == 0 {
			export = pv - battery - load // a balance that closes
		}
		p := Powers{PV: pv, Load: &load, Battery: &battery, Export: &export}
		f, home, grid := p.Split()
		if !home || !grid {
			t.Fatal("all is known")
		}
		charge, discharge, imported, exported := max(battery, 0), max(-battery, 0), max(-export, 0), max(export, 0)
		for _, v := range []float64{f.SolarHome, f.SolarBattery, f.SolarGrid, f.BatteryHome, f.BatteryGrid, f.GridHome, f.GridBattery} {
			if v < 0 || math.IsNaN(v) {
				t.Fatalf("%+v of %v %v %v %v", f, pv, load, battery, export)
			}
		}
		// No node gives or takes more than it has, and what is left over on either side is the unaccounted.
		given := pv - f.SolarHome - f.SolarBattery - f.SolarGrid + discharge - f.BatteryHome - f.BatteryGrid + imported - f.GridHome - f.GridBattery
		taken := load - f.SolarHome - f.BatteryHome - f.GridHome + charge - f.SolarBattery - f.GridBattery + exported - f.SolarGrid - f.BatteryGrid
		for _, rest := range []float64{
			pv - f.SolarHome - f.SolarBattery - f.SolarGrid, discharge - f.BatteryHome - f.BatteryGrid, imported - f.GridHome - f.GridBattery,
			load - f.SolarHome - f.BatteryHome - f.GridHome, charge - f.SolarBattery - f.GridBattery, exported - f.SolarGrid - f.BatteryGrid,
		} {
			if rest < -eps {
				t.Fatalf("%v too much: %+v of %v %v %v %v", rest, f, pv, load, battery, export)
			}
		}
		if math.Abs(given-taken-f.Unaccounted) > eps {
			t.Fatalf("given %v, taken %v, unaccounted %v", given, taken, f.Unaccounted)
		}
	}
}

// TestFlowsOfARollupExplainItsNodes: what holds for an instant holds for the sums, when all is known.
func TestFlowsOfARollupExplainItsNodes(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		samples := anySamples(r, noon, 3*time.Hour, 500)
		for i := range samples {
			s := &samples[i]
			s.PVPowerW = max(s.PVPowerW, 0)
			s.LoadPowerW, s.BatteryPowerW, s.ExportPowerW = new(r.Float64()*5000), new(r.Float64()*6000-3000), new(r.Float64()*6000-3000)
		}
		e := rollupOf(noon, noon.Add(3*time.Hour), samples).Energy
		balance := e[PV] + e[Discharge] + e[Import] - e[Load] - e[Charge] - e[Export]
		if math.Abs(balance-e[Unaccounted]) > 1e-6*(e[PV]+e[Load]) {
			t.Fatalf("balance %v, unaccounted %v", balance, e[Unaccounted])
		}
		for i := SolarHome; i < Unaccounted; i++ {
			if e[i] < 0 {
				t.Fatalf("flow %d is %v", i, e[i])
			}
		}
		if e[SolarHome]+e[SolarBattery]+e[SolarGrid] > e[PV]*(1+1e-9) || e[SolarHome]+e[BatteryHome]+e[GridHome] > e[Load]*(1+1e-9) {
			t.Fatalf("more than there is: %v", e)
		}
	}
}

// TestAddingOneByOneIsARecount: a rollup that took each sample when it came, was packed and read back in between, is
// the one of all samples at once.
func TestAddingOneByOneIsARecount(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		samples := anySamples(r, noon, Base, 1+r.IntN(60))
		want := baseOf(noon, noon.Add(Base), samples)
		var got Rollup
		for i := range samples {
			got.Add(&samples[i])
			var back Rollup
			if !back.Read(got.Append(nil)) {
				t.Fatal("a packed rollup cannot be read")
			}
			got = back
		}
		if d := difference(&got, &want); d != "" {
			t.Fatalf("%d samples: %s", len(samples), d)
		}
	}
}

// TestSumDoesNotDependOnItsSteps: days of hours of base rollups are the base rollups added up.
func TestSumDoesNotDependOnItsSteps(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 30 {
		samples := anySamples(r, noon, 24*time.Hour, 1500)
		direct := bareOf(noon, noon.Add(24*time.Hour), samples)
		var day Sum
		for h := range 24 {
			hour := bareOf(noon.Add(time.Duration(h)*time.Hour), noon.Add(time.Duration(h+1)*time.Hour), samples)
			day.Add(&hour)
		}
		stepwise := day.Rollup()
		if d := nearly(&stepwise, &direct); d != "" {
			t.Fatal(d)
		}
	}
}

// TestCutLosesNothing: however periods are cut, together they have the samples, the covered time and the energy of all.
func TestCutLosesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 100 {
		samples := anySamples(r, noon, 6*time.Hour, 2+r.IntN(600))
		borders := []time.Time{noon.Add(-time.Hour), noon.Add(7 * time.Hour)}
		whole := laidOut(borders, samples)[0]
		for range r.IntN(6) {
			borders = append(borders, noon.Add(time.Duration(1+r.Int64N((6*time.Hour).Milliseconds()))*time.Millisecond))
		}
		slices.SortFunc(borders, time.Time.Compare)
		got := Rollup{}
		for _, p := range laidOut(slices.Compact(borders), samples) {
			if p.Covered[KnowsPV] > p.End.Sub(p.Start).Milliseconds() {
				t.Fatalf("%v to %v: %d ms are covered", p.Start, p.End, p.Covered[KnowsPV])
			}
			got.gather(&p.Rollup)
		}
		if got.Rows != whole.Rows || got.Count != whole.Count || got.First != whole.First || got.Last != whole.Last || got.PVMax != whole.PVMax {
			t.Fatalf("cut at %v:\n%+v\n%+v", borders, got, whole)
		}
		for i, ms := range whole.Covered {
			most := int64(60_000) // the usual distance of an hour that is cut is another
			if i != KnowsPV {
				most = 600_000 // and any field may be absent
			}
			if d := got.Covered[i] - ms; max(d, -d) > most {
				t.Fatalf("cut at %v: known %d is covered for %d ms, uncut for %d", borders, i, got.Covered[i], ms)
			}
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

func TestEarlierSamplesPrecede(t *testing.T) {
	samples := []wire.Sample{counted(noon, 10), counted(noon.Add(5*time.Second), 10.1), counted(noon.Add(time.Minute), 10.2), counted(noon.Add(65*time.Second), 10.3)}
	whole := baseOf(noon, noon.Add(Base), samples)
	early, late := baseOf(noon, noon.Add(30*time.Second), samples), baseOf(noon.Add(30*time.Second), noon.Add(Base), samples)
	late.Precede(&early)
	if d := nearly(&late, &whole); d != "" {
		t.Error(d)
	}
}

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
		"from the second minute on": within(noon.Add(2*time.Minute), noon.Add(15*time.Minute), samples),
	} {
		if r := rollupOf(noon, noon.Add(15*time.Minute), some); true {
			if q, ok := r.Peak(later); ok {
				t.Errorf("%s: a peak of %+v", name, q)
			}
		}
	}
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

// TestLoadBelowNothingIsAnotherGenerator: it is no load, and of that time nothing is known of where energy went.
func TestLoadBelowNothingIsAnotherGenerator(t *testing.T) {
	var samples []wire.Sample
	for i := range 60 {
		s := wire.Sample{Time: noon.Add(time.Duration(i)*time.Minute + 30*time.Second), LoadPowerW: new(500.0), ExportPowerW: new(-500.0), Count: 1}
		if i < 15 {
			s.LoadPowerW, s.ExportPowerW = new(-2000.0), new(2000.0)
		}
		if i >= 50 {
			s.LoadPowerW = new(-20.0) // the meter and the inverter were not read at one instant
		}
		samples = append(samples, s)
	}
	p := laidOut([]time.Time{noon, noon.Add(time.Hour)}, samples)[0]
	for energy, want := range map[int]float64{Other: 0.5, Load: 500 * 35 / 60.0 / 1000, Export: 0.5, GridHome: 500 * 35 / 60.0 / 1000} {
		if kwh, ok := p.KWh(energy); !ok || math.Abs(kwh-want) > 1e-9 {
			t.Errorf("energy %d is %v kWh, want %v", energy, kwh, want)
		}
	}
	if part := p.Coverage(KnowsLoad, p.End); part != 0.75 {
		t.Errorf("the load is known for %v of the hour", part)
	}
	if v, ok := p.SelfSufficiency(); ok {
		t.Errorf("self-sufficiency is %v", v)
	}
}

func TestPackedRollupComesBackEqual(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for range 500 {
		samples := anySamples(r, noon, 2*time.Hour, 1+r.IntN(300))
		for _, want := range []Rollup{rollupOf(noon, noon.Add(2*time.Hour), samples), baseOf(noon, noon.Add(Base), samples), {}} {
			packed := want.Append([]byte("before"))[len("before"):]
			got := Rollup{Rows: 99, tail: end{Powers{Load: new(1.0)}, 5, true}}
			if !got.Read(packed) {
				t.Fatal("cannot be read")
			}
			if d := difference(&got, &want); d != "" {
				t.Fatal(d)
			}
		}
	}
}

func TestReadRefusesWhatAppendDidNotWrite(t *testing.T) {
	r := rollupOf(noon, noon.Add(time.Hour), anySamples(rand.New(rand.NewPCG(15, 16)), noon, time.Hour, 100))
	packed := r.Append(nil)
	for cut := range packed {
		if new(Rollup).Read(packed[:cut]) {
			t.Fatalf("read of %d of %d bytes", cut, len(packed))
		}
	}
	for name, b := range map[string][]byte{
		"longer":          append(slices.Clone(packed), 0),
		"another version": append([]byte{PackVersion + 1}, packed[1:]...),
	} {
		if new(Rollup).Read(b) {
			t.Errorf("%s is read", name)
		}
	}
}

func FuzzRead(f *testing.F) {
	r := rollupOf(noon, noon.Add(time.Hour), anySamples(rand.New(rand.NewPCG(17, 18)), noon, time.Hour, 100))
	f.Add(r.Append(nil))
	f.Add(new(Rollup).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r, again Rollup
		if !r.Read(b) {
			return
		}
		if !again.Read(r.Append(nil)) {
			t.Fatal("what was read cannot be written")
		}
		if d := difference(&again, &r); d != "" {
			t.Fatal(d)
		}
	})
}

// difference says where two rollups differ, the powers behind pointers included; numbers bit by bit but for the sign of
// zero and the kind of NaN.
func difference(a, b *Rollup) string {
	x, y := plain(a), plain(b)
	if x != y {
		return x + "\n" + y
	}
	return ""
}

func plain(r *Rollup) string {
	x := *r
	parts := []string{fmt.Sprint(r.head.reach, r.tail.reach, r.head.lone, r.tail.lone, r.head.PV+r.tail.PV)}
	for _, e := range [...]*end{&r.head, &r.tail} {
		for _, p := range [...]*float64{e.Load, e.Battery, e.Export, e.SOC} {
			part := "nil"
			if p != nil {
				part = fmt.Sprint(*p + 0)
			}
			parts = append(parts, part)
		}
	}
	x.head, x.tail = end{}, end{}
	for k := range x.Counters {
		if x.Counters[k].earlier == nil {
			x.Counters[k].earlier = []Level{}
		}
	}
	return strings.Join(append(parts, fmt.Sprintf("%+v", x)), " ")
}

// nearly is difference for sums that were added in another order.
func nearly(a, b *Rollup) string {
	x, y := *a, *b
	off := func(name string, i int, v, w float64) string {
		if math.Abs(v-w) > 1e-9*(math.Abs(v)+1) {
			return fmt.Sprintf("%s %d: %v and %v", name, i, v, w)
		}
		return ""
	}
	for i := range x.Energy {
		if d := off("energy", i, x.Energy[i], y.Energy[i]); d != "" {
			return d
		}
	}
	x.Energy = y.Energy
	for i, p := range [...][2]*float64{{&x.SOC, &y.SOC}, {&x.part[0], &y.part[0]}, {&x.part[1], &y.part[1]},
		{&x.part[2], &y.part[2]}, {&x.part[3], &y.part[3]}, {&x.part[4], &y.part[4]}, {&x.part[5], &y.part[5]}, {&x.from.Energy, &y.from.Energy}, {&x.to.Energy, &y.to.Energy}, {&x.peak.Energy, &y.peak.Energy}} {
		if d := off("sum", i, *p[0], *p[1]); d != "" {
			return d
		}
		*p[0] = *p[1]
	}
	for i := range x.Sums {
		if d := off("sum", i, x.Sums[i], y.Sums[i]); d != "" {
			return d
		}
	}
	x.Sums = y.Sums
	for k := range x.Counters {
		c, o := &x.Counters[k], &y.Counters[k]
		if c.N != o.N || c.First != o.First || c.Last != o.Last || c.Low != o.Low || c.High != o.High {
			return fmt.Sprintf("counter %d: %+v and %+v", k, *c, *o)
		}
		*c = *o
	}
	return difference(&x, &y)
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
