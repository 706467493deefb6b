package energy

import "time"

const quarterMS = int64(15 * time.Minute / time.Millisecond)

// mostOfQuarter is how much of a quarter-hour must be measured for it to count as a peak.
const mostOfQuarter = quarterMS * 9 / 10

// Quarter is the import in a quarter-hour of the clock, by the samples in it: each counts for all that it covers, also
// across the border. The zero Quarter is none.
type Quarter struct {
	Start   int64   // ms since 1970
	Energy  float64 // W·ms
	Covered int64   // ms
}

func quarterOf(ms int64) int64 { return ms - ms%quarterMS }

// Mean returns the mean import, W; false when it is not known.
func (q *Quarter) Mean() (float64, bool) {
	if q.Covered == 0 {
		return 0, false
	}
	return q.Energy / float64(q.Covered), true
}

// Coverage returns how much of the quarter-hour is measured; of one that is not over at now, of the part until then.
func (q *Quarter) Coverage(now time.Time) float64 {
	length := min(quarterMS, max(now.UnixMilli()-q.Start, 1))
	return min(float64(q.Covered)/float64(length), 1)
}

// Over reports whether the quarter-hour has ended.
func (q *Quarter) Over(now time.Time) bool { return q.Start+quarterMS <= now.UnixMilli() }

// Measured reports whether at least nine tenths of the quarter-hour are known.
func (q *Quarter) Measured() bool { return q.Covered >= mostOfQuarter }

// quarter returns what p adds in ms to the quarter-hour that begins at start.
func (p *Powers) quarter(start, ms int64) Quarter {
	if p.Export == nil {
		return Quarter{Start: start}
	}
	return Quarter{start, max(-*p.Export, 0) * float64(ms), ms}
}

// nearby returns how much of the time that a sample covers is measured: of a gap, even if it is short, only what is near
// to the sample, whose usual distance from its neighbours is twice reach.
func nearby(ms, reach int64) int64 { return min(ms, max(4*reach, 10_000)) }

// quarter adds to one of the quarter-hours of r. They come in ascending order.
func (r *Rollup) quarter(q Quarter) {
	switch q.Start {
	case 0:
	case r.from.Start:
		r.from.Energy += q.Energy
		r.from.Covered += q.Covered
	case r.to.Start:
		r.to.Energy += q.Energy
		r.to.Covered += q.Covered
	default:
		if r.from.Start == 0 {
			r.from = q
			return
		}
		r.rival(r.to)
		r.to = q
	}
}

// rival makes q the peak if it is the highest; of equal ones the first stays.
func (r *Rollup) rival(q Quarter) {
	mean, ok := q.Mean()
	if best, known := r.peak.Mean(); ok && q.Measured() && (!known || mean > best || mean == best && q.Start < r.peak.Start) {
		r.peak = q
	}
}

// Peak returns the quarter-hour of the highest mean import, of those that are over and measured; false when there is none.
func (r *Rollup) Peak(now time.Time) (q Quarter, ok bool) {
	all := Rollup{}
	for _, q := range [...]Quarter{r.from, r.peak, r.to} {
		if q.Over(now) {
			all.rival(q)
		}
	}
	return all.peak, all.peak.Start != 0
}

// FirstQuarter returns the first quarter-hour in which r has a sample.
func (r *Rollup) FirstQuarter() Quarter { return r.from }
