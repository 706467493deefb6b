package energy

import (
	"cmp"
	"math"
	"slices"
)

// A counter that is silent for longer than this rose at an unknown time, and for a gap that is longer the unit's other days
// are read.
const (
	longGap   = 10 * minute
	deepGap   = hourMS
	mostStep  = 1.0 // kWh that are not counted yet: a counter has whole ones at most
	firstStep = 0.1 // until the counter has risen
)

// book is the account of one lifetime counter over consecutive periods.
type book struct {
	periods []*Period
	before  []float64 // what the powers had integrated to where each period begins, W·ms, and at the end
	entries []entry   // what is accepted, in the order of time
	around  Around
	energy  int

	borders []float64 // the energy at the end of each period, kWh
	spread  []float64 // how much of each period rose in a gap across its border

	// The walk.
	total float64 // by the counter
	high  float64 // what it shows
	since float64 // what the powers had integrated to when it rose to that, W·ms
	step  float64 // by which it did
	walks int     // periods whose border is known
}

// entry is one level of one period.
type entry struct {
	Level
	period int
	reset  bool // it is not what the one before went on to
}

func newBook(periods []*Period, k int, around Around) *book {
	b := &book{periods: periods, around: around, energy: measured[k],
		before: make([]float64, len(periods)+1), borders: make([]float64, len(periods)), spread: make([]float64, len(periods))}
	var all []entry
	for i, p := range periods {
		b.before[i+1] = b.before[i] + p.Energy[b.energy]
		p.Counters[k].each(func(l Level) {
			l.enter, l.mark, l.leave = b.before[i]+l.enter, b.before[i]+l.mark, b.before[i]+l.leave
			all = append(all, entry{Level: l, period: i})
		})
	}
	b.entries = accepted(all, around.GreatestW)
	return b
}

// accepted returns the entries that are levels of the counter, and marks where another counter begins.
func accepted(all []entry, watts float64) []entry {
	stack, coarse := levels{watts: watts, sunk: func(l *Level) { sunk(all, l) }}, coarse(all)
	for i := range all {
		l := all[i].Level
		l.items, l.coarse = []int32{int32(i)}, coarse
		stack.push(l)
	}
	levels := stack.settled()
	var kept []entry
	for n := range levels {
		for i, item := range levels[n].items {
			e := all[item]
			e.reset = n > 0 && i == 0 && !levels[n-1].leads(&levels[n], watts)
			kept = append(kept, e)
		}
	}
	return kept
}

// sunk takes wrong readings out of the entries of l, whose last rise was taken back: it ends with its last right one.
func sunk(all []entry, l *Level) {
	n := len(l.items)
	for n > 1 && all[l.items[n-1]].Low > l.High {
		n--
	}
	l.items = l.items[:n]
	e := &all[l.items[n-1]].Level
	if e.High > l.High {
		e.Step = e.High - l.High
		e.sink()
	}
	l.Last, l.leave = e.Last, e.leave
	l.Since, l.mark = min(l.Since, l.Last), min(l.mark, l.leave)
}

// settled drops the levels that are still in doubt and that do not fit their neighbours.
func (s *levels) settled() []Level {
	levels, watts := s.all, s.watts
	for i := 1; i < len(levels); i++ {
		before, l := &levels[i-1], &levels[i]
		if s.refute(before, l) {
			before.extend(l)
			levels = slices.Delete(levels, i, i+1)
			i--
			continue
		}
		if !l.brief() {
			continue
		}
		last := i == len(levels)-1
		if fits := before.leads(l, watts); last && !fits || !last && before.leads(&levels[i+1], watts) && (!fits || !l.leads(&levels[i+1], watts)) {
			levels = slices.Delete(levels, i, i+1)
			i--
		}
	}
	return levels
}

// walk finds the energy at each border.
func (b *book) walk() {
	first := &b.entries[0]
	for ; b.walks < first.period; b.walks++ { // before the first reading only the powers are known
		if b.silentBefore(first) {
			b.borders[b.walks] = (b.before[b.walks+1] - first.enter) / kWh
		}
	}
	b.high, b.since, b.step = first.Low, first.enter, firstStep
	b.rise(first)
	for i := range b.entries[1:] {
		b.cross(i)
		b.rise(&b.entries[i+1])
	}
	last := &b.entries[len(b.entries)-1]
	silent := b.silentAfter(last)
	for ; b.walks < len(b.periods); b.walks++ {
		b.borders[b.walks] = b.total
		if b.step > digit { // with tenths of a kWh the next step need not be awaited
			b.borders[b.walks] += b.uncounted(last.leave)
		}
		if silent {
			b.borders[b.walks] += max(b.before[b.walks+1]-last.leave, 0) / kWh
		}
	}
}

// silentBefore reports whether there were samples for long before the counter was read.
func (b *book) silentBefore(first *entry) bool {
	for _, p := range b.periods {
		if p.Rows > 0 {
			return first.First-p.First > longGap
		}
	}
	return false
}

// silentAfter reports whether there were samples for long after the counter was read last.
func (b *book) silentAfter(last *entry) bool {
	for _, p := range slices.Backward(b.periods) {
		if p.Rows > 0 {
			return p.Last-last.Last > longGap
		}
	}
	return false
}

// uncounted returns the energy since the counter rose last, by the powers, that the counter does not show yet.
func (b *book) uncounted(now float64) float64 { return min(b.made(now), b.step) }

// made returns the energy since the counter rose last, integrated from the powers, kWh.
func (b *book) made(now float64) float64 { return max(now-b.since, 0) / kWh }

// rise adds what the counter rose within an entry.
func (b *book) rise(e *entry) {
	if more := e.High - max(b.high, e.Low); more > 0 {
		b.total += more
		b.high, b.since, b.step = e.High, e.mark, min(cmp.Or(e.Step, firstStep), mostStep)
	}
}

// cross goes from entry i to the next, and finds the energy at the borders between them.
func (b *book) cross(i int) {
	next := &b.entries[i+1]
	switch {
	case next.reset:
		b.stand(next.period)
		b.total += b.uncounted(next.enter)
		b.high, b.since, b.step = next.Low, next.enter, firstStep
	case next.Low > b.high:
		b.climb(&b.entries[i], next)
	case next.Low < b.high: // while it shows less, its rise cannot be read
		b.step = max(b.step, b.back(i+1))
		fallthrough
	default:
		b.stand(next.period)
	}
}

// stand finds the borders before a period until which the counter did not rise.
func (b *book) stand(period int) {
	for ; b.walks < period; b.walks++ {
		b.borders[b.walks] = b.total + b.uncounted(b.before[b.walks+1])
	}
}

// climb finds the borders between a and next, at which the counter is higher. The powers explain a part of its rise; the
// rest rose while nothing was received. If the powers integrate to more than the rise, that is scaled, but not the part of
// it that is before the borders until a.
func (b *book) climb(a, next *entry) {
	rise := next.Low - b.high
	given, seen, scale := b.made(a.leave), b.made(next.enter), 1.0
	if seen > rise {
		made := given
		given = max(made*rise/seen, min(b.uncounted(a.leave), rise))
		scale = (rise - given) / max(seen-made, 1e-9)
	}
	h := b.gap(a, next, rise-seen)
	part := 0.0
	for period := a.period; period <= next.period; period++ {
		before := part
		if part = h.until(period); period < next.period && period >= b.walks {
			b.borders[period] = b.total + given + scale*(b.made(b.before[period+1])-b.made(a.leave)) + h.kwh*part
		}
		if h.long && a.period < next.period {
			b.spread[period] += h.kwh * (part - before)
		}
	}
	b.walks = max(b.walks, next.period)
	b.total += rise
	b.high, b.since, b.step = next.Low, next.enter, min(rise, mostStep)
}

// back returns by how much a counter that dipped at entry i is higher than before when it is back, or 0.
func (b *book) back(i int) float64 {
	for _, e := range b.entries[i:min(i+staysN, len(b.entries))] {
		for _, v := range [...]float64{e.Low, e.Next, e.High} {
			if v > b.high && !e.reset {
				return v - b.high
			}
		}
	}
	return 0
}

// gap is a time between two readings in which a counter rose by more than the powers explain.
type gap struct {
	*book
	from, to int64
	kwh      float64
	long     bool
	profile  *Profile
}

func (b *book) gap(a, next *entry, kwh float64) gap {
	h := gap{book: b, from: a.Last, to: next.First, kwh: max(kwh, 0)}
	usual := int64(0)
	if a.N > 1 {
		usual = (a.Last - a.First) / (a.N - 1)
	}
	h.long = h.to-h.from > max(longGap, 3*usual)
	if h.to-h.from > deepGap && h.kwh > slack && b.around.Profile != nil && a.period < next.period {
		h.profile = b.around.Profile(h.from, h.to)
	}
	return h
}

// until returns which part of the rise in the gap was before the end of a period. Little of it was at the gap's ends, as at
// dusk and at dawn; the rest is distributed as on the unit's other days, or evenly.
func (h *gap) until(period int) float64 {
	t := h.periods[period].End.UnixMilli()
	if t >= h.to {
		return 1
	}
	if h.long && h.kwh <= slack {
		return 0.5
	}
	if part, ok := h.profile.part(h.energy, h.from, h.to, t); ok {
		return part
	}
	return float64(t-h.from) / float64(h.to-h.from)
}

// smooth keeps the borders between the first and the last that are asked for in ascending order: what is not counted yet may
// be a little more than what is counted then.
func (b *book) smooth() {
	n := len(b.borders) - 2 // the last is what comes after
	for i := 1; i < n; i++ {
		b.borders[i] = min(max(b.borders[i], b.borders[i-1]), max(b.borders[n], b.borders[0]))
	}
}

// row returns what the counter rose in a period.
func (b *book) row(i int) Metered {
	m := Metered{KWh: max(b.borders[i]-b.borders[i-1], 0), Spread: b.spread[i], known: true}
	m.Spread = min(m.Spread, m.KWh)
	first, last := &b.entries[0], &b.entries[len(b.entries)-1]
	from, to := max(first.First, b.periods[i].Start.UnixMilli()), min(last.Last, b.periods[i].End.UnixMilli())
	m.Time = max(to-from, 0)
	if math.IsNaN(m.KWh) {
		m.known = false
	}
	return m
}
