package energy

import (
	"time"

	"sunspool/wire"
)

const quarter = int64(15 * time.Minute / time.Millisecond)

// Sum adds up the rollups of consecutive spans. They must come in the order of time.
type Sum struct {
	total   Rollup
	quarter struct { // of the clock, that the last base rollup was in
		start   int64
		energy  float64
		covered int64
	}
}

// AddBase adds a base rollup that spans from start to end, which is a part of Base where a period begins or ends in it.
func (s *Sum) AddBase(start, end int64, r *Rollup) {
	closed := r.close(start, end)
	if q := start - start%quarter; q != s.quarter.start {
		s.endQuarter()
		s.quarter.start = q
	}
	s.quarter.energy += closed.Energy[Import]
	s.quarter.covered += closed.Covered[KnowsGrid]
	s.add(&closed)
}

// Add adds the rollup of an hour or a day.
func (s *Sum) Add(r *Rollup) {
	s.endQuarter()
	s.add(r)
}

// Rollup returns the sum of all that was added.
func (s *Sum) Rollup() Rollup {
	s.endQuarter()
	return s.total
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
	start := s.Time.UnixMilli()
	p.Add(start, s)
	p.Rollup = p.close(start, start+1)
	return p
}
