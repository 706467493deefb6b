package energy

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
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

// rollupOf sums the base rollups of [start, end).
func rollupOf(start, end time.Time, samples []wire.Sample) Rollup {
	i, _ := slices.BinarySearchFunc(samples, start, func(s wire.Sample, t time.Time) int { return s.Time.Compare(t) })
	j, _ := slices.BinarySearchFunc(samples, end, func(s wire.Sample, t time.Time) int { return s.Time.Compare(t) })
	samples = samples[i:j]
	var sum Sum
	for len(samples) > 0 {
		from := samples[0].Time.Truncate(Base)
		to := from.Add(Base)
		if from.Before(start) {
			from = start
		}
		if to.After(end) {
			to = end
		}
		n := 0
		for n < len(samples) && samples[n].Time.Before(to) {
			n++
		}
		r := baseOf(from, to, samples[:n])
		sum.AddBase(from.UnixMilli(), to.UnixMilli(), &r)
		samples = samples[n:]
	}
	return sum.Rollup()
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
	for _, poll := range []time.Duration{time.Second, 5 * time.Second, 10 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute} {
		var samples []wire.Sample
		for at := noon; at.Before(noon.Add(time.Hour)); at = at.Add(poll) {
			samples = append(samples, wire.Sample{Time: at, PVPowerW: 4000, LoadPowerW: new(1000.0), BatteryPowerW: new(2000.0), ExportPowerW: new(1000.0), Count: 1})
		}
		r := rollupOf(noon, noon.Add(time.Hour), samples)
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
		{"a sample alone speaks for 5 s on either side that is in its five minutes", []int{7}, 10 * time.Second},
		{"at the start of five minutes only after it", []int{5}, 5 * time.Second},
		{"one a minute, none from :10 to :30", []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59}, 40 * time.Minute},
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

func TestSampleOfManySpeaksForTheTimeTheyTook(t *testing.T) {
	for _, c := range []struct {
		count   int
		after   time.Duration // the start of its five minutes
		covered time.Duration
	}{
		{1, 2 * time.Minute, 10 * time.Second},
		{2, 2 * time.Minute, 10 * time.Second},
		{12, 2 * time.Minute, time.Minute},
		{12, 0, time.Minute},
		{60, 0, 5 * time.Minute},
		{60, 5*time.Minute - 1, 5 * time.Minute},
		{720, 2 * time.Minute, 5 * time.Minute}, // an hour in one sample: it is only known to be in these five minutes
	} {
		r := rollupOf(noon, noon.Add(time.Hour), []wire.Sample{{Time: noon.Add(c.after), PVPowerW: 3000, LoadPowerW: new(600.0), Count: c.count}})
		if got := time.Duration(r.Covered[KnowsLoad]) * time.Millisecond; got != c.covered {
			t.Errorf("%d raw samples %v after the start: %v are covered, want %v", c.count, c.after, got, c.covered)
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
		f, home, grid := Powers{pv, &load, &battery, &export}.Split()
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
		direct := rollupOf(noon, noon.Add(24*time.Hour), samples)
		var day Sum
		for h := range 24 {
			hour := rollupOf(noon.Add(time.Duration(h)*time.Hour), noon.Add(time.Duration(h+1)*time.Hour), samples)
			day.Add(&hour)
		}
		stepwise := day.Rollup()
		if d := nearly(&stepwise, &direct); d != "" {
			t.Fatal(d)
		}
	}
}

// TestSplitSpanLosesNoSample: of a base span that is cut in two, both parts together have its samples and counters, and
// no more covered time than there is.
func TestSplitSpanLosesNoSample(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 300 {
		samples := anySamples(r, noon, Base, 2+r.IntN(60))
		cut := noon.Add(time.Duration(1+r.Int64N(Base.Milliseconds()-1)) * time.Millisecond)
		whole := rollupOf(noon, noon.Add(Base), samples)
		a, b := rollupOf(noon, cut, samples), rollupOf(cut, noon.Add(Base), samples)
		var both Sum
		both.Add(&a)
		both.Add(&b)
		got := both.Rollup()
		if got.Rows != whole.Rows || got.Count != whole.Count || got.First != whole.First || got.Last != whole.Last ||
			got.Counters != whole.Counters || got.PVMax != whole.PVMax {
			t.Fatalf("split at %v:\n%+v\n%+v", cut, got, whole)
		}
		if a.Covered[KnowsPV] > cut.Sub(noon).Milliseconds() || b.Covered[KnowsPV] > noon.Add(Base).Sub(cut).Milliseconds() {
			t.Fatalf("split at %v: %d and %d ms covered", cut, a.Covered[KnowsPV], b.Covered[KnowsPV])
		}
	}
}

func TestEarlierSamplesPrecede(t *testing.T) {
	samples := []wire.Sample{counted(noon, 10), counted(noon.Add(5*time.Second), 11), counted(noon.Add(time.Minute), 12), counted(noon.Add(65*time.Second), 12.5)}
	early, late := baseOf(noon, noon.Add(30*time.Second), samples), baseOf(noon.Add(30*time.Second), noon.Add(Base), samples)
	late.Precede(&early)
	if c := late.Counters[PVTotal]; late.Rows != 4 || late.First != noon.UnixMilli() || late.Last != noon.Add(65*time.Second).UnixMilli() ||
		c.First.KWh != 10 || c.Last.KWh != 12.5 || c.Rise != 2.5 {
		t.Errorf("%+v", late)
	}
	next := counted(noon.Add(70*time.Second), 13)
	late.Add(&next)
	if late.tailGap != 5000 || late.Counters[PVTotal].Rise != 3 {
		t.Errorf("after one more: %+v", late)
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
	r := rollupOf(noon, noon.Add(time.Hour), samples)
	if at := noon.Add(45 * time.Minute).UnixMilli(); r.ImportPeakAt != at || math.Abs(r.ImportPeak-2000*10/15.0) > 40 {
		t.Errorf("%v W at %v", r.ImportPeak, time.UnixMilli(r.ImportPeakAt).UTC())
	}
	first := rollupOf(noon, noon.Add(15*time.Minute), samples)
	if math.Abs(first.ImportPeak-1000) > 40 || first.ImportPeakAt != noon.UnixMilli() {
		t.Errorf("the first quarter: %v W", first.ImportPeak)
	}
	if none := rollupOf(noon, noon.Add(Base), []wire.Sample{{Time: noon, Count: 1}}); none.ImportPeakAt != 0 {
		t.Errorf("a peak without a meter: %+v", none)
	}
}

func TestPackedRollupComesBackEqual(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for range 500 {
		samples := anySamples(r, noon, 2*time.Hour, 1+r.IntN(300))
		for _, want := range []Rollup{rollupOf(noon, noon.Add(2*time.Hour), samples), baseOf(noon, noon.Add(Base), samples), {}} {
			packed := want.Append([]byte("before"))[len("before"):]
			got := Rollup{Rows: 99, tail: Powers{Load: new(1.0)}}
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
		"another version": append([]byte{packVersion + 1}, packed[1:]...),
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
	x, y := *a, *b
	ends := y.ends()
	for i, p := range x.ends() {
		if p == nil {
			continue
		}
		a, b := *p, *ends[i]
		if (a == nil) != (b == nil) {
			return fmt.Sprintf("power %d of the ends is known in one", i)
		}
		if a != nil && *a != *b && !(math.IsNaN(*a) && math.IsNaN(*b)) {
			return fmt.Sprintf("power %d of the ends: %v and %v", i, *a, *b)
		}
	}
	for _, r := range []*Rollup{&x, &y} {
		r.head, r.tail = Powers{PV: r.head.PV}, Powers{PV: r.tail.PV}
	}
	if s, t := fmt.Sprintf("%+v", x), fmt.Sprintf("%+v", y); s != t {
		return s + "\n" + t
	}
	return ""
}

// nearly is difference for sums that were added in another order. A quarter-hour's peak is the same in both, because
// hours begin with one.
func nearly(a, b *Rollup) string {
	x, y := *a, *b
	for i := range x.Energy {
		if math.Abs(x.Energy[i]-y.Energy[i]) > 1e-9*(math.Abs(x.Energy[i])+1) {
			return fmt.Sprintf("energy %d: %v and %v", i, x.Energy[i], y.Energy[i])
		}
		x.Energy[i] = y.Energy[i]
	}
	for i := range x.Sums {
		if math.Abs(x.Sums[i]-y.Sums[i]) > 1e-9*(math.Abs(x.Sums[i])+1) {
			return fmt.Sprintf("sum %d: %v and %v", i, x.Sums[i], y.Sums[i])
		}
		x.Sums[i] = y.Sums[i]
	}
	for i := range x.Counters {
		if math.Abs(x.Counters[i].Rise-y.Counters[i].Rise) > 1e-6 {
			return fmt.Sprintf("counter %d: %v and %v", i, x.Counters[i], y.Counters[i])
		}
		x.Counters[i].Rise = y.Counters[i].Rise
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
