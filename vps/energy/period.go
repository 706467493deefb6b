package energy

import (
	"time"

	"sunspool/wire"
)

// Period is the rollup of a period of the calendar, of which only a part may have been asked for.
type Period struct {
	Start, End time.Time
	Rollup
}

// Bucket returns p, which has a sample, in the form of the Python API: means are weighted by the samples' counts, where each
// count represents 5 s, as in that API. Where they do not, as with a slower edge that became a faster one, a mean is one over
// time.
func (p *Period) Bucket() wire.Bucket {
	counted, covered := float64(p.Count*2*aloneReach), float64(p.Covered[KnowsPV])
	byCount := covered == 0 || covered > 0.7*counted && covered <= 1.005*counted
	mean := func(i int, overTime float64, ok bool) *float64 {
		if byCount {
			overTime, ok = finite(p.Sums[i] / float64(p.Weights[i]))
		}
		if !ok {
			return nil
		}
		return &overTime
	}
	pv, hasPV := p.Mean(PV)
	battery, hasBattery := p.Balance(Charge, Discharge)
	soc, hasSOC := p.MeanSOC()
	load, hasLoad := p.Mean(Load)
	export, hasExport := p.Balance(Export, Import)
	return wire.Bucket{
		Start:            p.Start.UTC(),
		AvgPVPowerW:      mean(AvgPV, pv, hasPV),
		MaxPVPowerW:      new(p.PVMax),
		AvgBatteryPowerW: mean(AvgBattery, battery, hasBattery),
		AvgBatterySOCPct: mean(AvgSOC, soc, hasSOC),
		AvgLoadPowerW:    mean(AvgLoad, load, hasLoad),
		AvgExportPowerW:  mean(AvgExport, export, hasExport),
		SampleCount:      int(p.Count),
	}
}

// Balance returns the mean of one power less that of its opposite, W.
func (r *Rollup) Balance(plus, minus int) (float64, bool) {
	a, ok := r.Mean(plus)
	b, _ := r.Mean(minus)
	return a - b, ok
}

// Instant returns a period of one millisecond that s fills.
func Instant(s *wire.Sample) Period {
	p := Period{Start: s.Time, End: s.Time.Add(time.Millisecond)}
	p.Add(s)
	p.cover(&p.tail.Powers, 1)
	return p
}

// Coverage returns for which part of the period something is known, see KnowsPV and so on. Of one that is not over at
// now, the part until then counts.
func (p *Period) Coverage(knows int, now time.Time) float64 {
	start := p.Start.UnixMilli()
	end := min(p.End.UnixMilli(), max(now.UnixMilli(), p.Last)) // an edge's clock may be a little ahead
	if end <= start {
		return 0
	}
	return min(float64(p.Covered[knows])/float64(end-start), 1)
}

// What a share needs: enough energy, and flows for nearly all of the time for which there are samples.
const (
	leastShared = 0.05 * 3.6e9 // W·ms
	mostTime    = 0.9
)

// SelfConsumption returns which part of the PV energy whose use is known stayed in the house, 0 to 1; false when that is not
// known. What went to the grid by way of the battery did not stay.
func (r *Rollup) SelfConsumption() (float64, bool) {
	return SelfConsumption(r)
}

// SelfConsumption is that of several devices that share nothing; false when that of one is not known.
func SelfConsumption(all ...*Rollup) (float64, bool) {
	return without(all, func(e *[Energies]float64) (sold, whole float64) {
		return e[SolarGrid] + min(e[SolarBattery], e[BatteryGrid]), e[SolarHome] + e[SolarBattery] + e[SolarGrid]
	})
}

// SelfSufficiency returns which part of the energy that reached the house was not imported, 0 to 1; false when that is not
// known. Energy that was imported and stored in the battery counts as imported.
func (r *Rollup) SelfSufficiency() (float64, bool) {
	return SelfSufficiency(r)
}

// SelfSufficiency is that of several devices that share nothing; false when that of one is not known.
func SelfSufficiency(all ...*Rollup) (float64, bool) {
	return without(all, func(e *[Energies]float64) (bought, whole float64) {
		return e[GridHome] + min(e[GridBattery], e[BatteryHome]), e[SolarHome] + e[BatteryHome] + e[GridHome]
	})
}

// sameTime returns the energies of the time for which all flows are known. For a unit without a battery that does not depend
// on a battery's power.
func (r *Rollup) sameTime() [Energies]float64 {
	e := r.Energy
	for i, flow := range partlyKnown {
		if i < partly/2 || r.hasBattery() {
			e[flow] = max(e[flow]-r.part[i], 0)
		}
	}
	return e
}

func (r *Rollup) hasBattery() bool { return r.Covered[KnowsBattery] > 0 }

func without(all []*Rollup, share func(*[Energies]float64) (part, whole float64)) (float64, bool) {
	var part, whole float64
	for _, r := range all {
		known := r.Covered[KnowsFlows]
		if r.hasBattery() {
			known -= r.Covered[KnowsBlind]
		}
		if float64(known) < mostTime*float64(r.Covered[KnowsPV]) {
			return 0, false
		}
		e := r.sameTime()
		p, w := share(&e)
		part, whole = part+p, whole+w
	}
	if whole < leastShared {
		return 0, false
	}
	return finite(1 - part/whole)
}

// shortCover is how much of a period without samples those beside it may cover, ms, and it still counts as empty.
const shortCover = minute / 2

// HasData reports whether the period has a sample, or is covered in part by those beside it.
func (p *Period) HasData() bool {
	return p.Rows > 0 || p.Covered[KnowsPV] >= max(min(shortCover, p.End.Sub(p.Start).Milliseconds()/2), 1)
}
