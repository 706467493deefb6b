package energy

import (
	"time"

	"sunspool/wire"
)

const (
	quarter = int64(15 * time.Minute / time.Millisecond)
	hour    = int64(time.Hour / time.Millisecond)
)

// Sum adds up the rollups of consecutive spans. They must come in the order of time.
//
// Base rollups of one hour are joined: what is between the last sample of one and the first of the next is covered as if
// both were in one. Those of different hours are not, so that hours, which are kept, add up to the same.
type Sum struct {
	total   Rollup
	last    part // the base rollup that was added last
	quarter struct {
		start   int64 // of the clock, that last is in
		energy  float64
		covered int64
	}
}

// part is a base rollup of which it is not yet known how long its last sample speaks.
type part struct {
	Rollup
	start, end int64
	before     int64 // from the sample before to its first one, if that is near; else 0
}

// AddBase adds a base rollup that spans from start to end, which is a part of Base where a period begins or ends in it.
func (s *Sum) AddBase(start, end int64, r *Rollup) {
	if r.Rows == 0 {
		return
	}
	next := part{Rollup: *r, start: start, end: end}
	gap := r.First - s.last.Last
	if s.last.Rows > 0 && s.last.start/hour == start/hour && gap <= 2*MaxReach {
		next.before = gap
		s.endHead(gap)
		s.speak(s.last.tail, beforeMiddle(gap))
		s.enter(next)
		s.speak(r.head, afterMiddle(gap))
		return
	}
	s.endPart()
	s.enter(next)
	if r.Rows > 1 {
		s.speak(r.head, min(r.First-start, reach(r.headGap)))
	}
}

// Add adds the rollup of an hour or more.
func (s *Sum) Add(r *Rollup) {
	s.endPart()
	s.endQuarter()
	s.add(r)
}

// Rollup returns the sum of all that was added.
func (s *Sum) Rollup() Rollup {
	s.endPart()
	s.endQuarter()
	r := s.total
	r.head, r.tail, r.headGap, r.tailGap = Powers{}, Powers{}, 0, 0
	return r
}

// enter adds what next says of itself.
func (s *Sum) enter(next part) {
	if q := next.start - next.start%quarter; q != s.quarter.start {
		s.endQuarter()
		s.quarter.start = q
	}
	s.quarter.energy += next.Energy[Import]
	s.quarter.covered += next.Covered[KnowsGrid]
	s.add(&next.Rollup)
	s.last = next
}

// endHead lets the only sample of a part, with none near before it, speak back to the part's start now that the next
// sample is known.
func (s *Sum) endHead(gap int64) {
	if p := &s.last; p.Rows == 1 && p.before == 0 {
		s.speak(p.head, min(p.First-p.start, reach(gap)))
		p.before = gap
	}
}

// endPart lets the last sample speak to the end of its part.
func (s *Sum) endPart() {
	p := &s.last
	if p.Rows == 0 {
		return
	}
	switch {
	case p.Rows > 1:
		s.speak(p.tail, min(p.end-p.Last, reach(p.tailGap)))
	case p.before > 0:
		s.speak(p.tail, min(p.end-p.Last, reach(p.before)))
	default: // alone
		around := min(p.First-p.start, aloneReach) + min(p.end-p.Last, aloneReach)
		s.speak(p.tail, max(around, min(p.Count*aloneReach, p.end-p.start)))
	}
	s.last = part{}
}

// speak covers some time with the powers of a sample of the last part.
func (s *Sum) speak(p Powers, ms int64) {
	s.total.cover(p, ms)
	if p.Export != nil {
		s.quarter.energy += max(-*p.Export, 0) * float64(ms)
		s.quarter.covered += ms
	}
}

func (s *Sum) endQuarter() {
	q := &s.quarter
	if q.covered > 0 {
		s.peak(q.energy/float64(q.covered), q.start)
	}
	q.energy, q.covered = 0, 0
}

func (s *Sum) peak(watts float64, at int64) {
	if r := &s.total; r.ImportPeakAt == 0 || watts > r.ImportPeak {
		r.ImportPeak, r.ImportPeakAt = watts, at
	}
}

func (s *Sum) add(o *Rollup) {
	r := &s.total
	switch {
	case o.Rows == 0:
		return
	case r.Rows == 0:
		r.First, r.PVMax, r.PVMaxAt = o.First, o.PVMax, o.PVMaxAt
	case o.PVMax > r.PVMax:
		r.PVMax, r.PVMaxAt = o.PVMax, o.PVMaxAt
	}
	r.Last = o.Last
	r.Rows += o.Rows
	r.Count += o.Count
	for i := range averages {
		r.Sums[i] += o.Sums[i]
		r.Weights[i] += o.Weights[i]
	}
	for i := range Energies {
		r.Energy[i] += o.Energy[i]
	}
	for i := range knowledge {
		r.Covered[i] += o.Covered[i]
	}
	for i := range Counters {
		r.Counters[i].join(&o.Counters[i])
	}
	if o.ImportPeakAt != 0 {
		s.peak(o.ImportPeak, o.ImportPeakAt)
	}
}

// Period is the rollup of a period of the calendar, of which only a part may have been asked for.
type Period struct {
	Start, End time.Time
	Rollup
}

// Bucket returns p, which has a sample, as the contract's readers see it.
func (p *Period) Bucket() wire.Bucket {
	average := func(i int) *float64 {
		if v, ok := p.Average(i); ok {
			return &v
		}
		return nil
	}
	return wire.Bucket{
		Start:            p.Start.UTC(),
		AvgPVPowerW:      average(AvgPV),
		MaxPVPowerW:      new(p.PVMax),
		AvgBatteryPowerW: average(AvgBattery),
		AvgBatterySOCPct: average(AvgSOC),
		AvgLoadPowerW:    average(AvgLoad),
		AvgExportPowerW:  average(AvgExport),
		SampleCount:      int(p.Count),
	}
}

// Instant returns a period of one millisecond that s fills.
func Instant(s *wire.Sample) Period {
	p := Period{Start: s.Time, End: s.Time.Add(time.Millisecond)}
	p.Add(s)
	p.cover(p.tail, 1)
	return p
}
