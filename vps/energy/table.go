package energy

import (
	"math"
	"sort"
	"time"
)

// A counter that is silent for longer than this rose at an unknown time.
const longHole = int64(10 * time.Minute / time.Millisecond)

// Row is a period and what the lifetime counters say of it.
type Row struct {
	Period
	Metered [Counters]Metered
}

// Metered is what a lifetime counter rose in a period.
type Metered struct {
	KWh    float64
	Spread float64 // the part of it that rose in a long hole across a border of the period: how much is known, not when
	Time   int64   // ms of the period between two readings; 0 when the counter says nothing of it
}

// Table returns a row for each period. Periods must be consecutive, each beginning where the one before ends; one
// without samples has the zero Rollup. Before and after are the readings next to the periods on either side.
//
//	─────●──┊──●────●──┊─────────┊─────●──┊──     ● readings, ┊ borders of periods
//	     ^-----^    ^-----hole---------^
//
// What a counter rose between two readings of one period belongs to that period. What it rose across borders is shared
// out, linear in time, so that the sum of any periods is the difference of the counter, whatever was not received. A
// step that is none of the same counter (see Delta) gives nothing.
func Table(periods []Period, before, after [Counters]Reading) []Row {
	rows := make([]Row, len(periods))
	for i := range periods {
		rows[i].Period = periods[i]
	}
	for k := range Counters {
		last := before[k]
		for i := range rows {
			c := &rows[i].Counters[k]
			if c.Last.KWh == 0 {
				continue // a counter that never counted is one that the inverter does not have: some dongles read 0 then
			}
			share(rows, k, last, c.First)
			rows[i].Metered[k].KWh += c.Rise
			rows[i].Metered[k].Time += c.Last.At - c.First.At
			last = c.Last
		}
		share(rows, k, last, after[k])
	}
	return rows
}

// share gives every row its part of what counter k rose between two readings.
func share(rows []Row, k int, from, to Reading) {
	if !from.Known() || !to.Known() || from.At >= to.At {
		return
	}
	kwh, ok := Delta(from, to)
	if !ok {
		return
	}
	first := sort.Search(len(rows), func(i int) bool { return rows[i].End.UnixMilli() > from.At })
	for i := first; i < len(rows) && rows[i].Start.UnixMilli() < to.At; i++ {
		overlap := min(to.At, rows[i].End.UnixMilli()) - max(from.At, rows[i].Start.UnixMilli())
		part := kwh * float64(overlap) / float64(to.At-from.At)
		m := &rows[i].Metered[k]
		m.KWh += part
		m.Time += overlap
		if to.At-from.At > longHole {
			m.Spread += part
		}
	}
}

// Source is where an energy comes from.
type Source int

const (
	Unknown    Source = iota
	Counted           // by a lifetime counter
	Integrated        // from the powers, in the covered time only
	Mixed             // some rows of a column are counted, the others integrated
)

// Meter returns the lifetime counter that shows an energy; false for those that have none.
func Meter(energy int) (counter int, ok bool) {
	switch energy {
	case PV:
		return PVTotal, true
	case Import:
		return ImportTotal, true
	case Export:
		return ExportTotal, true
	case Charge:
		return ChargeTotal, true
	case Discharge:
		return DischargeTotal, true
	}
	return 0, false
}

// KWh returns one of the energies of the row. A counter that speaks for less of the time than the samples do, because
// it was read only later, gives way to what they integrate to.
func (r *Row) KWh(energy int) (kwh float64, from Source) {
	covered := r.Covered[Needs[energy]]
	if k, ok := Meter(energy); ok {
		if m := &r.Metered[k]; m.Time > 0 && m.Time+longHole >= covered {
			return m.KWh, Counted
		}
	}
	if covered == 0 || ofBattery(energy) && r.Covered[KnowsBattery] == 0 {
		return 0, Unknown
	}
	return r.Energy[energy] / 3.6e9, Integrated
}

func ofBattery(energy int) bool {
	switch energy {
	case SolarBattery, BatteryHome, BatteryGrid, GridBattery:
		return true
	}
	return false
}

// Column returns an energy of each row, NaN where it is not known, and of all together.
func Column(rows []Row, energy int) (kwh []float64, total float64, from Source) {
	kwh = make([]float64, len(rows))
	for i := range rows {
		v, source := rows[i].KWh(energy)
		switch {
		case source == Unknown:
			kwh[i] = math.NaN()
			continue
		case from == Unknown:
			from = source
		case from != source:
			from = Mixed
		}
		kwh[i] = v
		total += v
	}
	return kwh, total, from
}

// Total returns the rollup of all rows.
func Total(rows []Row) Rollup {
	var sum Sum
	for i := range rows {
		sum.Add(&rows[i].Rollup)
	}
	return sum.Rollup()
}

// What is needed to speak of a share: enough energy, and flows for nearly all of the time for which the energy is known.
const (
	leastShared = 0.05 * 3.6e9 // W·ms
	mostTime    = 0.9
)

// SelfConsumption returns the part of the PV energy that did not go to the grid, 0 to 1; false when that cannot be said.
func (r *Rollup) SelfConsumption() (float64, bool) { return r.without(SolarGrid, PV) }

// SelfSufficiency returns the part of the load that did not come from the grid, 0 to 1; false when that cannot be said.
func (r *Rollup) SelfSufficiency() (float64, bool) { return r.without(GridHome, Load) }

func (r *Rollup) without(part, whole int) (float64, bool) {
	if r.Energy[whole] < leastShared || float64(r.Covered[KnowsFlows]) < mostTime*float64(r.Covered[Needs[whole]]) {
		return 0, false
	}
	return min(max(1-r.Energy[part]/r.Energy[whole], 0), 1), true
}

// Mean returns the mean of a power over the covered time, W; false when nothing is known.
func (r *Rollup) Mean(energy int) (float64, bool) {
	covered := r.Covered[Needs[energy]]
	if covered == 0 || ofBattery(energy) && r.Covered[KnowsBattery] == 0 {
		return 0, false
	}
	return r.Energy[energy] / float64(covered), true
}

// Coverage returns for which part of the period there are samples. Of one that is not over at now, the part until then
// counts.
func (p *Period) Coverage(now time.Time) float64 { return p.covered(KnowsPV, now) }

// FlowsCoverage returns for which part of the period the flows are known, as Coverage.
func (p *Period) FlowsCoverage(now time.Time) float64 { return p.covered(KnowsFlows, now) }

// GridCoverage returns for which part of the period there is a meter's word, as Coverage.
func (p *Period) GridCoverage(now time.Time) float64 { return p.covered(KnowsGrid, now) }

func (p *Period) covered(knows int, now time.Time) float64 {
	start := p.Start.UnixMilli()
	end := min(p.End.UnixMilli(), max(now.UnixMilli(), p.Last)) // an edge's clock may be a little ahead
	if end <= start {
		return 0
	}
	return min(float64(p.Covered[knows])/float64(end-start), 1)
}
