package energy

import "sunspool/wire"

// mostW bounds the power that one sample may show of a unit: more than any inverter with such counters has.
const mostW = 500_000

// GreatestW returns the greatest power that s shows of its unit, W, the rated one included: no counter of the unit can
// rise faster for long. It is at least 1: 0 means unknown.
func GreatestW(s *wire.Sample) float64 {
	p := PowersOf(s)
	return min(max(p.greatest(), 1000*s.Values["nominal_power"], 1), mostW)
}
