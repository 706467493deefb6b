package store

import (
	"time"

	"sunspool/vps/energy"
	"sunspool/wire"
)

// Rows of a device are of five levels: samples, and rollups of five minutes, hours, watches (four hours, as at sea) and
// days of UTC. A row of one level is the sum of those below it in its span. Five minutes divide the hours of every zone
// on earth; hours are those of all but a few zones. With watches a local day is some nine rows where the zone's midnight
// is not that of UTC, and a year by days some 3,300; a month by itself is some 30 days and, at its two ends, as many rows.
const (
	samplesLevel = iota
	baseLevel
	hourLevel
	watchLevel
	dayLevel
	levels
)

// spans are how long a row of each level is, ms.
var spans = [levels]int64{
	1, energy.Base.Milliseconds(), time.Hour.Milliseconds(), (4 * time.Hour).Milliseconds(), (24 * time.Hour).Milliseconds(),
}

// spanOf returns when the row of that level begins in which ms lies.
func spanOf(level int, ms int64) int64 { return ms - ms%spans[level] }

// stretch is rows of one level that start in [from, to) ms.
type stretch struct {
	level    int
	from, to int64
}

// plan returns the fewest rows that, in ascending order, cover [from, to) and no period's end.
func plan(from, to int64, r Resolution, zone *time.Location) (all []stretch) {
	add := func(level int, from, to int64) {
		if n := len(all) - 1; n >= 0 && all[n].level == level && all[n].to == from {
			all[n].to = to
			return
		}
		all = append(all, stretch{level, from, to})
	}
	var cover func(level int, from, to int64)
	cover = func(level int, from, to int64) {
		if up := level + 1; up < levels {
			first, end := spanOf(up, from+spans[up]-1), spanOf(up, to)
			if first < end {
				cover(level, from, first)
				cover(up, first, end)
				cover(level, end, to)
				return
			}
		}
		if from < to {
			add(level, from, to)
		}
	}
	for from < to {
		_, end := r.Period(fromMS(from), zone)
		cover(samplesLevel, from, min(end.UnixMilli(), to))
		from = end.UnixMilli()
	}
	return all
}

// addRow adds the rollup of a whole row of that level to sum.
func addRow(sum *energy.Sum, level int, start int64, r *energy.Rollup) {
	if level == baseLevel {
		sum.AddBase(start, start+spans[baseLevel], r)
	} else {
		sum.Add(r)
	}
}

// addLate adds samples, in ascending order, to the rollup r of a base row that has lost its samples, and returns the
// indexes of those that it counts. Those between the first and the last that r has seen are taken for
// repetitions: their keys cannot be known any more.
func addLate(r *energy.Rollup, samples []*wire.Sample) (added []int) {
	first, earlier := r.First, energy.Rollup{}
	for i, s := range samples {
		switch ms := s.Time.UnixMilli(); {
		case ms < first && (earlier.Rows == 0 || ms > earlier.Last):
			earlier.Add(s)
		case ms > r.Last:
			r.Add(s)
		default:
			continue
		}
		added = append(added, i)
	}
	if earlier.Rows > 0 {
		r.Precede(&earlier)
	}
	return added
}

// gatherer makes periods of rows that come in ascending order.
type gatherer struct {
	resolution Resolution
	zone       *time.Location
	from, to   int64 // what was asked for

	periods []energy.Period
	sum     energy.Sum
	end     int64 // of the last period, ms

	part             energy.Rollup // of samples, where a base rollup is cut
	partFrom, partTo int64
}

// row takes the rollup of a level that starts at start.
func (g *gatherer) row(level int, start int64, r *energy.Rollup) {
	if r.Rows == 0 {
		return
	}
	g.endPart()
	g.period(start)
	addRow(&g.sum, level, start, r)
}

func (g *gatherer) sample(s *wire.Sample) {
	ms := s.Time.UnixMilli()
	if ms >= g.partTo {
		g.endPart()
		g.period(ms)
		start := spanOf(baseLevel, ms)
		g.partFrom = max(start, g.from, g.periods[len(g.periods)-1].Start.UnixMilli())
		g.partTo = min(start+spans[baseLevel], g.to, g.end)
	}
	g.part.Add(s)
}

func (g *gatherer) endPart() {
	if g.part.Rows > 0 {
		g.sum.AddBase(g.partFrom, g.partTo, &g.part)
	}
	g.part, g.partTo = energy.Rollup{}, 0
}

// period makes the one that ms lies in the last of the periods.
func (g *gatherer) period(ms int64) {
	if ms < g.end {
		return
	}
	g.endPeriod()
	start, end := g.resolution.Period(fromMS(ms), g.zone)
	g.periods = append(g.periods, energy.Period{Start: start, End: end})
	g.end = end.UnixMilli()
}

func (g *gatherer) endPeriod() {
	if n := len(g.periods); n > 0 {
		g.periods[n-1].Rollup = g.sum.Rollup()
	}
	g.sum = energy.Sum{}
}

func (g *gatherer) done() []energy.Period {
	g.endPart()
	g.endPeriod()
	return g.periods
}

// within returns the limits of q in ms, for a device whose samples lie in [first, last]. Where q has none they are those
// of whole rows of every level.
func (q Query) within(first, last int64) (from, to int64) {
	from, to = spanOf(dayLevel, first), spanOf(dayLevel, last)+spans[dayLevel]
	if !q.From.IsZero() {
		from = max(from, ceil(q.From))
	}
	if !q.To.IsZero() {
		to = min(to, ceil(q.To))
	}
	return from, to
}

func fromMS(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// ceil returns the first whole millisecond at or after t.
func ceil(t time.Time) int64 {
	ms := t.UnixMilli()
	if time.UnixMilli(ms).Before(t) {
		ms++
	}
	return ms
}
