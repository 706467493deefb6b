package rollup

import "sunspool/vps/energy"

// How far a counter is looked for that is not near: days with samples on one side.
const daysBeside = 10

// Wider returns what to read instead, if a counter has to be looked for further away: one that is on one side of a border
// and not on the other, or that did not rise for all the time before. Day is device.dayBeside, or the like.
func (g *Gatherer) Wider(first, last int64, day func(t int64, back bool, n int) int64) (wider Scope, found bool) {
	wider = g.Scope
	before, after := g.missing()
	if start := StartOf(DayLevel, g.before); before && first < g.before {
		wider.before = min(g.before, max(day(start, true, daysBeside), StartOf(DayLevel, first)))
	}
	if start := StartOf(DayLevel, g.after+Spans[DayLevel]-1); after && last >= g.after {
		wider.after = max(g.after, day(start, false, daysBeside)+Spans[DayLevel])
	}
	return wider, wider != g.Scope
}

// missing reports whether a counter is missing before or after the query's time.
func (g *Gatherer) missing() (before, after bool) {
	for k := range energy.Counters {
		if _, ok := energy.Meter(energy.Measured(k)); !ok {
			continue
		}
		left, inside, right := g.Sides[0].Counters[k].N > 0, false, g.Sides[1].Counters[k].N > 0
		for i := range g.Periods {
			inside = inside || g.Periods[i].Counters[k].N > 0
		}
		before = before || !left && (inside || right) || left && g.Sides[0].Stands(k)
		after = after || !right && (inside || left)
	}
	if len(g.Periods) == 0 { // a gap: any counter beside it
		before = before || g.Sides[0].Rows == 0
		after = after || g.Sides[1].Rows == 0
	}
	return before, after
}
