// Package energy computes energy from samples: rollups of spans of time, the energy in them and its flows. It is arithmetic
// alone: no clock, no store.
//
//	samples ──Add──> Rollup of five minutes ──Sum──> hour ──Sum──> day       (kept by a store)
//	                        └────────────────────────┴──────────────┴──Line──> any local periods ──Table──> kWh
//
// A rollup is a pure function of the samples in its span, so that one can always be computed again and compared. It ends
// with its first and its last sample: what these cover outside of it depends on their neighbours.
package energy

import (
	"math"
	"time"

	"sunspool/wire"
)

// Base is the span of the shortest rollup. It divides the hours of every time zone on earth.
const Base = 5 * time.Minute

// Averages are the values of which the Python API has means, weighted by the samples' counts.
const (
	AvgPV = iota
	AvgBattery
	AvgSOC
	AvgLoad
	AvgExport
	averages
)

// Energies in a Rollup, W·ms; see KWh. Those from SolarHome to GridBattery are those of Flows.
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
	Other // of another generator behind the meter: what it made beyond the load, so at least so much
	Energies
)

// What must be known for an energy to count: a sample covers its time for each of these that it has.
const (
	KnowsPV = iota // each sample does
	KnowsLoad
	KnowsGrid
	KnowsBattery
	KnowsFlows // load and grid
	KnowsSOC
	KnowsOther // a load of either sign
	KnowsBlind // load and grid, but no battery: there may be none
	Knowledge
)

// Needs is for each energy which of the covered times is its own.
var Needs = [Energies]int{
	PV: KnowsPV, Load: KnowsLoad, Import: KnowsGrid, Export: KnowsGrid, Charge: KnowsBattery, Discharge: KnowsBattery,
	SolarHome: KnowsLoad, SolarBattery: KnowsLoad, BatteryHome: KnowsLoad,
	SolarGrid: KnowsFlows, BatteryGrid: KnowsFlows, GridHome: KnowsFlows, GridBattery: KnowsFlows, Unaccounted: KnowsFlows,
	Other: KnowsOther,
}

// Some flows are known although not all are: without a meter, and while the battery is unknown. Their energy in such times is
// kept apart, because a ratio is of times in which all are known.
const partly = 6

var partlyKnown = [partly]int{SolarHome, SolarBattery, BatteryHome, SolarHome, SolarGrid, GridHome}

// Rollup is the sum of the samples in a span of time. The zero Rollup is that of a span without samples. Times are
// milliseconds since 1970.
type Rollup struct {
	Rows        int64 // stored samples
	Count       int64 // raw samples, the sum of their counts
	First, Last int64 // times of samples
	apart       int64 // samples that are a second or more after the one before

	Sums    [averages]float64
	Weights [averages]int64 // raw samples that had the value

	PVMax   float64 // W
	PVMaxAt int64
	Power   float64 // the greatest of any kind, W

	Energy  [Energies]float64 // W·ms in the covered time
	Covered [Knowledge]int64  // ms that samples cover
	SOC     float64           // %·ms
	part    [partly]float64

	Counters [Counters]Counter

	peak     Quarter // the highest of the quarter-hours between the first and the last one
	from, to Quarter // the first and the last one, which may go on outside; to is zero when they are the same

	head, tail end // the first sample and the last one

	// Old is set when something of it was counted by an earlier version of this program, by other rules.
	Old bool
}

// Add adds s to a base rollup. Samples must come in ascending order of time.
func (r *Rollup) Add(s *wire.Sample) {
	now, p := s.Time.UnixMilli(), PowersOf(s)
	if r.Rows == 0 || s.PVPowerW > r.PVMax {
		r.PVMax, r.PVMaxAt = s.PVPowerW, now
	}
	r.Power = max(r.Power, p.greatest())
	r.weigh(s)
	here := end{Powers: p, reach: reachOf(s)}
	if r.Rows == 0 {
		r.First, r.head = now, here
		r.from = Quarter{Start: quarterOf(now)}
	} else {
		gap := now - r.Last
		if gap >= near {
			r.apart++
		}
		reach := gap / 2
		if r.apart > 1 {
			reach = (r.Last - r.First) / r.apart / 2
		}
		left, right := r.tail.share(&here, gap)
		r.spend(&r.tail.Powers, left, reach)
		r.spend(&p, right, reach)
	}
	r.Last, r.tail = now, here
	r.Rows++
	r.read(s, now)
}

// spend covers a time inside of a base rollup.
func (r *Rollup) spend(p *Powers, ms, reach int64) {
	r.cover(p, ms)
	r.quarter(p.quarter(r.from.Start, nearby(ms, reach)))
}

func (r *Rollup) weigh(s *wire.Sample) {
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
func (r *Rollup) cover(p *Powers, ms int64) {
	t := float64(ms)
	r.Covered[KnowsPV] += ms
	r.Energy[PV] += max(p.PV, 0) * t
	if p.Load != nil {
		r.Covered[KnowsOther] += ms
		if load, ok := p.house(); ok {
			r.Covered[KnowsLoad] += ms
			r.Energy[Load] += load * t
		} else {
			r.Energy[Other] -= *p.Load * t
		}
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
	if p.SOC != nil {
		r.Covered[KnowsSOC] += ms
		r.SOC += *p.SOC * t
	}
	r.flow(p, ms)
}

func (r *Rollup) flow(p *Powers, ms int64) {
	f, home, grid := p.Split()
	if !home {
		return
	}
	t := float64(ms)
	r.Energy[SolarHome] += f.SolarHome * t
	r.Energy[SolarBattery] += f.SolarBattery * t
	r.Energy[BatteryHome] += f.BatteryHome * t
	if !grid {
		r.part[0] += f.SolarHome * t
		r.part[1] += f.SolarBattery * t
		r.part[2] += f.BatteryHome * t
		return
	}
	if p.Battery == nil {
		r.Covered[KnowsBlind] += ms
		r.part[3] += f.SolarHome * t
		r.part[4] += f.SolarGrid * t
		r.part[5] += f.GridHome * t
	}
	r.Covered[KnowsFlows] += ms
	r.Energy[SolarGrid] += f.SolarGrid * t
	r.Energy[BatteryGrid] += f.BatteryGrid * t
	r.Energy[GridHome] += f.GridHome * t
	r.Energy[GridBattery] += f.GridBattery * t
	r.Energy[Unaccounted] += f.Unaccounted * t
}

// merge adds a rollup of later samples; what is between the two is covered already.
func (r *Rollup) merge(o *Rollup) {
	if o.Rows == 0 {
		return
	}
	switch {
	case r.Rows == 0:
		r.First, r.head = o.First, o.head
	case o.First-r.Last >= near:
		r.apart++
	}
	r.apart += o.apart
	if r.Rows == 0 || o.PVMax > r.PVMax {
		r.PVMax, r.PVMaxAt = o.PVMax, o.PVMaxAt
	}
	r.Power = max(r.Power, o.Power)
	for k := range Counters {
		r.Counters[k].join(&o.Counters[k], r.Energy[measured[k]], r.Power)
	}
	r.Last, r.tail = o.Last, o.tail
	r.add(o)
	r.quarter(o.from)
	r.rival(o.peak)
	r.quarter(o.to)
}

// add adds the sums of o.
func (r *Rollup) add(o *Rollup) {
	r.Rows += o.Rows
	r.Count += o.Count
	for i := range averages {
		r.Sums[i] += o.Sums[i]
		r.Weights[i] += o.Weights[i]
	}
	r.SOC += o.SOC
	for i := range Energies {
		r.Energy[i] += o.Energy[i]
	}
	for i := range Knowledge {
		r.Covered[i] += o.Covered[i]
	}
	for i := range partly {
		r.part[i] += o.part[i]
	}
	r.Old = r.Old || o.Old
}

// Precede adds a base rollup of samples that are all before those of r, for when the samples of r are gone.
func (r *Rollup) Precede(earlier *Rollup) {
	var sum Sum
	sum.join(earlier)
	sum.join(r)
	*r = sum.total
}

// KWh returns one of the energies; false when no sample of the span had what it is computed from.
func (r *Rollup) KWh(i int) (float64, bool) {
	return r.Energy[i] / 3.6e9, r.Covered[Needs[i]] > 0
}

// Mean returns the mean of a power over the time for which it is known, W; false when it is never known.
func (r *Rollup) Mean(energy int) (float64, bool) {
	covered := r.Covered[Needs[energy]]
	if covered == 0 || ofBattery(energy) && r.Covered[KnowsBattery] == 0 {
		return 0, false
	}
	return finite(r.Energy[energy] / float64(covered))
}

// MeanSOC returns the mean state of charge, %.
func (r *Rollup) MeanSOC() (float64, bool) {
	if r.Covered[KnowsSOC] == 0 {
		return 0, false
	}
	return finite(r.SOC / float64(r.Covered[KnowsSOC]))
}

// finite reports whether v is a number that JSON can represent: a sum of absurd values may not be.
func finite(v float64) (float64, bool) { return v, !math.IsNaN(v) && !math.IsInf(v, 0) }

func ofBattery(energy int) bool {
	switch energy {
	case SolarBattery, BatteryHome, BatteryGrid, GridBattery:
		return true
	}
	return false
}
