package energy

import "time"

// Part is what one of several devices has of a time, and whether it has a meter and a battery.
type Part struct {
	*Period
	Meter, Battery bool
}

// sums are the powers of one kind of several devices.
type sums struct {
	watts   float64
	any     bool // one of them has it
	unknown bool // although it has it
}

func (s *sums) add(has bool, watts float64, known bool) {
	if has {
		s.watts, s.any, s.unknown = s.watts+watts, true, s.unknown || !known
	}
}

func (s *sums) value() *float64 {
	if !s.any || s.unknown {
		return nil
	}
	return &s.watts
}

// Together is a short time of several devices, whose parts come one after the other. They have one house, whose load is what
// remains of the sums of their mean powers, over as much of the time as is covered by all of them.
type Together struct {
	Parts           int // that were added
	at, ms          int64
	pv              float64
	battery, export sums
}

// Add adds what a device has.
func (s *Together) Add(p Part) {
	if s.Parts++; s.Parts == 1 {
		s.at, s.ms = p.Start.UnixMilli(), p.End.Sub(p.Start).Milliseconds()
	}
	covers := func(knows int) {
		if p.Covered[knows] > 0 {
			s.ms = min(s.ms, p.Covered[knows])
		}
	}
	pv, _ := p.Mean(PV)
	s.pv += pv
	covers(KnowsPV)
	w, ok := p.Balance(Charge, Discharge)
	if s.battery.add(p.Battery, w, ok); p.Battery {
		covers(KnowsBattery)
	}
	w, ok = p.Balance(Export, Import)
	if s.export.add(p.Meter, w, ok); p.Meter {
		covers(KnowsGrid)
	}
}

// AddTogether adds a short time of several devices to r. Times are ascending.
func (r *Rollup) AddTogether(s *Together) {
	sum := Powers{PV: s.pv, Battery: s.battery.value(), Export: s.export.value()}
	if sum.Export != nil && !s.battery.unknown {
		sum.Load = new(sum.PV - s.battery.watts - s.export.watts)
	}
	if r.Rows == 0 || sum.PV > r.PVMax {
		r.PVMax, r.PVMaxAt = sum.PV, s.at
	}
	if r.Rows == 0 {
		r.First = s.at
	}
	r.Rows, r.Last = r.Rows+1, s.at
	r.cover(&sum, s.ms)
}

// AddDark adds a time in which there is no PV, as far as it is in p.
func (p *Period) AddDark(from, to time.Time) {
	begin, end := max(from.UnixMilli(), p.Start.UnixMilli()), min(to.UnixMilli(), p.End.UnixMilli())
	if ms := end - begin; ms > 0 {
		p.Covered[KnowsPV] = min(p.Covered[KnowsPV]+ms, p.End.Sub(p.Start).Milliseconds())
	}
}

// Quarters is a quarter-hour of several meters, whose parts come one after the other.
type Quarters struct {
	Parts int // that were added, of which each knows the quarter-hour
	sum   Quarter
	watts float64
}

// Add adds that of a meter, if it knows it.
func (s *Quarters) Add(q Quarter) {
	mean, ok := q.Mean()
	if !ok || s.Parts > 0 && q.Start != s.sum.Start {
		return
	}
	if s.Parts++; s.Parts == 1 {
		s.sum = Quarter{Start: q.Start, Covered: q.Covered}
	}
	s.watts, s.sum.Covered = s.watts+mean, min(s.sum.Covered, q.Covered)
}

// AddQuarters adds a quarter-hour of several meters to r. They come in ascending order.
func (r *Rollup) AddQuarters(s *Quarters) {
	s.sum.Energy = s.watts * float64(s.sum.Covered)
	r.quarter(s.sum)
}
