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

func TestEarlierSamplesPrecede(t *testing.T) {
	samples := []wire.Sample{counted(noon, 10), counted(noon.Add(5*time.Second), 10.1), counted(noon.Add(time.Minute), 10.2), counted(noon.Add(65*time.Second), 10.3)}
	whole := baseOf(noon, noon.Add(Base), samples)
	early, late := baseOf(noon, noon.Add(30*time.Second), samples), baseOf(noon.Add(30*time.Second), noon.Add(Base), samples)
	late.Precede(&early)
	if d := nearly(&late, &whole); d != "" {
		t.Error(d)
	}
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
	parts := []string{fmt.Sprint(r.head.reach, r.tail.reach, r.head.single, r.tail.single, r.head.PV+r.tail.PV)}
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
