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

// How long a sample speaks. Between two samples each does for half of the time, if they are not too far apart: a poll of
// a minute is normal, a hole of more than five minutes is one. At the ends of a base rollup, beyond which nothing is
// known, a sample speaks three times as long as its neighbour is away, because polls are not regular where a dongle is
// bad; one that is alone as long as the shortest poll, or, if it is made of many raw samples, as long as these took at
// least: then five minutes in one sample are five minutes. MaxReach is the longest, on one side, of all others.
const (
	MaxReach   = int64(150 * time.Second / time.Millisecond) // ms
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

	// Of a base rollup that is not closed: the last sample, which speaks on until the next comes, or the end.
	tail Powers
	gap  int64 // between the last two samples, ms
}

// Add adds s to a base rollup that begins at start. Samples must come in ascending order of time.
func (r *Rollup) Add(start int64, s *wire.Sample) {
	now, p := s.Time.UnixMilli(), PowersOf(s)
	if r.Rows == 0 || s.PVPowerW > r.PVMax {
		r.PVMax, r.PVMaxAt = s.PVPowerW, now
	}
	r.average(s)
	if r.Rows == 0 {
		r.First = now
	} else {
		gap := now - r.Last
		if r.Rows == 1 {
			r.cover(r.tail, min(r.Last-start, reach(gap)))
		}
		r.cover(r.tail, min(gap/2, MaxReach))
		r.cover(p, min(gap-gap/2, MaxReach))
		r.gap = gap
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
	tail, gap := r.tail, r.gap
	sum := Sum{total: *earlier}
	sum.add(r)
	*r = sum.total
	r.tail, r.gap = tail, gap
}

// close lets the last sample of a base rollup from start to end speak until the end.
func (r Rollup) close(start, end int64) Rollup {
	switch r.Rows {
	case 0:
	case 1:
		around := min(r.Last-start, aloneReach) + min(end-r.Last, aloneReach)
		r.cover(r.tail, max(around, min(r.Count*aloneReach, end-start)))
	default:
		r.cover(r.tail, min(end-r.Last, reach(r.gap)))
	}
	r.tail, r.gap = Powers{}, 0
	return r
}

// reach is how far beyond an end a sample speaks whose neighbour is gap away.
func reach(gap int64) int64 {
	if gap > 2*MaxReach {
		return aloneReach
	}
	return min(3*gap, MaxReach)
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
