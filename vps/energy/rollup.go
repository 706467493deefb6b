// Package energy computes what samples mean: rollups of spans of time, the energy in them and where it went. It is
// arithmetic alone: no clock, no store.
//
//	samples ──Add──> Rollup of five minutes ──Sum──> hour ──Sum──> day          (kept by a store)
//	                        └────────────────────────┴──────────────┴──Sum──> any local period, for readers
//
// A rollup is a pure function of the samples in its span, so that one can always be computed anew and compared.
package energy

import (
	"math"
	"time"

	"sunspool/wire"
)

// Base is the span of the shortest rollup. It divides the hours of every time zone on earth.
const Base = 5 * time.Minute

// How long a sample speaks. Between two samples each does for half of the time, if they are not too far apart: a poll in
// five minutes is slow, a hole of more than six is one. Before the first and after the last sample of an hour, and at a
// hole, a sample speaks three times as long as its other neighbour is away, because polls are not regular where a dongle
// is bad, but not beyond its five minutes; one that is alone as long as the shortest poll, or, if it is made of many raw
// samples, as long as these took at least. MaxReach is the longest, on one side of two.
const (
	MaxReach   = int64(3 * time.Minute / time.Millisecond) // ms
	aloneReach = int64(5 * time.Second / time.Millisecond)
)

// Averages are the values that a series averages, weighted by the samples' counts.
const (
	AvgPV = iota
	AvgBattery
	AvgSOC
	AvgLoad
	AvgExport
	averages
)

// Energies in a Rollup, W·ms; see KWh. All but the first six are those of Flows.
const (
	PV = iota
	Load
	Import
	Export
	Charge
	Discharge
	SolarHome
	SolarBattery
	SolarGrid
	BatteryHome
	BatteryGrid
	GridHome
	GridBattery
	Unaccounted
	Energies
)

// What must be known for an energy to count: a sample covers its time for each of these that it has.
const (
	KnowsPV = iota // each sample does
	KnowsLoad
	KnowsGrid
	KnowsBattery
	KnowsFlows // load and grid
	knowledge
)

// Needs says for each energy which of the covered times is its own.
var Needs = [Energies]int{
	PV: KnowsPV, Load: KnowsLoad, Import: KnowsGrid, Export: KnowsGrid, Charge: KnowsBattery, Discharge: KnowsBattery,
	SolarHome: KnowsLoad, SolarBattery: KnowsLoad, BatteryHome: KnowsLoad,
	SolarGrid: KnowsFlows, BatteryGrid: KnowsFlows, GridHome: KnowsFlows, GridBattery: KnowsFlows, Unaccounted: KnowsFlows,
}

// Rollup is what is known of a span of time. The zero Rollup is that of a span without samples. Times are milliseconds
// since 1970.
type Rollup struct {
	Rows        int64 // stored samples
	Count       int64 // raw samples, the sum of their counts
	First, Last int64 // times of samples

	Sums    [averages]float64
	Weights [averages]int64 // raw samples that had the value

	PVMax   float64 // W
	PVMaxAt int64

	// ImportPeak is the highest mean import in a quarter-hour of the clock, W, among those that begin in the span.
	// Base rollups have none: a quarter-hour is longer.
	ImportPeak   float64
	ImportPeakAt int64 // start of the quarter-hour, 0 for none

	Energy  [Energies]float64 // W·ms in the covered time
	Covered [knowledge]int64  // ms for which a sample speaks

	Counters [Counters]Counter

	// Old is set when something of it was counted by an earlier version of this program, by other rules.
	Old bool

	// Of a base rollup: its first and its last sample, which speak beyond it as far as Sum finds no other, and how far
	// from them, ms, its second and its last but one are; 0 for a sample that is alone.
	head, tail       Powers
	headGap, tailGap int64
}

// Add adds s to a base rollup. Samples must come in ascending order of time.
func (r *Rollup) Add(s *wire.Sample) {
	now, p := s.Time.UnixMilli(), PowersOf(s)
	if r.Rows == 0 || s.PVPowerW > r.PVMax {
		r.PVMax, r.PVMaxAt = s.PVPowerW, now
	}
	r.average(s)
	if r.Rows == 0 {
		r.First, r.head = now, p
	} else {
		gap := now - r.Last
		if r.Rows == 1 {
			r.headGap = gap
		}
		r.tailGap = gap
		r.cover(r.tail, beforeMiddle(gap))
		r.cover(p, afterMiddle(gap))
	}
	r.Last, r.tail = now, p
	r.Rows++
	for i, reading := range ReadingsOf(s) {
		if reading.Known() {
			r.Counters[i].add(reading)
		}
	}
}

// Precede adds a base rollup of samples that are all before those of r, for when the samples of r are gone. The time
// between the two is not covered.
func (r *Rollup) Precede(earlier *Rollup) {
	sum := Sum{total: *earlier}
	sum.add(r)
	sum.total.tail, sum.total.tailGap = r.tail, r.tailGap
	*r = sum.total
}

// beforeMiddle and afterMiddle are how long two samples speak for the time between them.
func beforeMiddle(gap int64) int64 { return min(gap/2, MaxReach) }
func afterMiddle(gap int64) int64  { return min(gap-gap/2, MaxReach) }

// reach is how far a sample speaks into the unknown whose neighbour on the other side is gap away.
func reach(gap int64) int64 {
	if gap > 2*MaxReach {
		return aloneReach
	}
	return min(3*gap, 2*MaxReach)
}

func (r *Rollup) average(s *wire.Sample) {
	n := int64(s.Count)
	r.Count += n
	for i, v := range [averages]*float64{&s.PVPowerW, s.BatteryPowerW, s.BatterySOCPct, s.LoadPowerW, s.ExportPowerW} {
		if v != nil {
			r.Sums[i] += *v * float64(n)
			r.Weights[i] += n
		}
	}
}

// cover adds the energy of p over a time of ms.
func (r *Rollup) cover(p Powers, ms int64) {
	t := float64(ms)
	r.Covered[KnowsPV] += ms
	r.Energy[PV] += max(p.PV, 0) * t
	if p.Load != nil {
		r.Covered[KnowsLoad] += ms
		r.Energy[Load] += *p.Load * t
	}
	if p.Export != nil {
		r.Covered[KnowsGrid] += ms
		r.Energy[Export] += max(*p.Export, 0) * t
		r.Energy[Import] += max(-*p.Export, 0) * t
	}
	if p.Battery != nil {
		r.Covered[KnowsBattery] += ms
		charge, discharge := p.battery()
		r.Energy[Charge] += charge * t
		r.Energy[Discharge] += discharge * t
	}
	f, home, grid := p.Split()
	if home {
		r.Energy[SolarHome] += f.SolarHome * t
		r.Energy[SolarBattery] += f.SolarBattery * t
		r.Energy[BatteryHome] += f.BatteryHome * t
	}
	if grid {
		r.Covered[KnowsFlows] += ms
		r.Energy[SolarGrid] += f.SolarGrid * t
		r.Energy[BatteryGrid] += f.BatteryGrid * t
		r.Energy[GridHome] += f.GridHome * t
		r.Energy[GridBattery] += f.GridBattery * t
		r.Energy[Unaccounted] += f.Unaccounted * t
	}
}

// Average returns the mean of one of the averaged values, weighted by counts; false when no sample had it.
func (r *Rollup) Average(i int) (float64, bool) {
	v := r.Sums[i] / float64(r.Weights[i])
	return v, r.Weights[i] > 0 && !math.IsNaN(v) && !math.IsInf(v, 0) // a sum of absurd values is not a number for JSON
}

// KWh returns one of the energies; false when no sample of the span could know it.
func (r *Rollup) KWh(i int) (float64, bool) {
	return r.Energy[i] / 3.6e9, r.Covered[Needs[i]] > 0
}
