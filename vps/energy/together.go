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

// AddTogether adds a short time to r, in which all parts have data: the sums of their mean powers, over as much of it as is
// covered by all of them. Times are ascending. The parts have one house, whose load is what remains of the sums.
func (r *Rollup) AddTogether(parts []Part) {
	var sum Powers
	var battery, export sums
	at, ms := parts[0].Start.UnixMilli(), parts[0].End.Sub(parts[0].Start).Milliseconds()
	covers := func(p *Period, knows int) {
		if p.Covered[knows] > 0 {
			ms = min(ms, p.Covered[knows])
		}
	}
	for _, p := range parts {
		pv, _ := p.Mean(PV)
		sum.PV += pv
		covers(p.Period, KnowsPV)
		w, ok := p.Balance(Charge, Discharge)
		if battery.add(p.Battery, w, ok); p.Battery {
			covers(p.Period, KnowsBattery)
		}
		w, ok = p.Balance(Export, Import)
		if export.add(p.Meter, w, ok); p.Meter {
			covers(p.Period, KnowsGrid)
		}
	}
	sum.Battery, sum.Export = battery.value(), export.value()
	if sum.Export != nil && !battery.unknown {
		sum.Load = new(sum.PV - battery.watts - export.watts)
	}
	if r.Rows == 0 || sum.PV > r.PVMax {
		r.PVMax, r.PVMaxAt = sum.PV, at
	}
	if r.Rows == 0 {
		r.First = at
	}
	r.Rows, r.Last = r.Rows+1, at
	r.cover(&sum, ms)
}

// AddDark adds a time in which there is no PV, as far as it is in p.
func (p *Period) AddDark(from, to time.Time) {
	begin, end := max(from.UnixMilli(), p.Start.UnixMilli()), min(to.UnixMilli(), p.End.UnixMilli())
	if ms := end - begin; ms > 0 {
		p.Covered[KnowsPV] = min(p.Covered[KnowsPV]+ms, p.End.Sub(p.Start).Milliseconds())
	}
}

// AddQuarters adds a quarter-hour to r, the sum of those of several meters; nothing if one does not know it. They come in
// ascending order.
func (r *Rollup) AddQuarters(parts []Quarter) {
	sum := Quarter{Start: parts[0].Start, Covered: parts[0].Covered}
	watts := 0.0
	for i := range parts {
		mean, ok := parts[i].Mean()
		if !ok || parts[i].Start != sum.Start {
			return
		}
		watts, sum.Covered = watts+mean, min(sum.Covered, parts[i].Covered)
	}
	sum.Energy = watts * float64(sum.Covered)
	r.quarter(sum)
}
