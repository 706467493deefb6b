package energy

import "sunspool/wire"

// Counters are the lifetime counters of an inverter, in the order of wire.Sample.
const (
	PVTotal = iota
	ImportTotal
	ExportTotal
	ChargeTotal
	DischargeTotal
	DirectTotal
	Counters
)

// measured are the energies that the counters count.
var measured = [Counters]int{PV, Import, Export, Charge, Discharge, SolarHome}

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

// read adds what the counters show in s. 0 is not a reading: dongles return it for values that they do not have.
func (r *Rollup) read(s *wire.Sample, ms int64) {
	for k, v := range [Counters]*float64{s.PVTotalKWh, s.ImportTotalKWh, s.ExportTotalKWh, s.ChargeTotalKWh, s.DischargeTotalKWh, s.DirectTotalKWh} {
		if v == nil || *v <= 0 {
			continue
		}
		at := r.Energy[measured[k]]
		c := &r.Counters[k]
		if c.N > 0 && *v == c.High && len(c.earlier) == 0 { // as most are
			c.N++
			c.Last, c.leave = ms, at
			continue
		}
		c.push(Level{First: ms, Since: ms, Last: ms, Low: *v, High: *v, N: 1, enter: at, mark: at, leave: at}, r.Power)
	}
}

// Measured returns the energy that a counter counts.
func Measured(counter int) int { return measured[counter] }

// leastStanding is what the powers may integrate to, W·ms, while a counter stands, before that matters.
const leastStanding = 0.001 * kWh

// Stands reports whether a counter did not rise in all of r although something was made: it rose last before, and how much
// was made since is not known.
func (r *Rollup) Stands(counter int) bool {
	c := &r.Counters[counter]
	return len(c.earlier) == 0 && c.High == c.Low && r.Energy[measured[counter]] > leastStanding
}
