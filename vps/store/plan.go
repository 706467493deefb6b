package store

import (
	"math"
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
	for from < to {
		_, end := r.Period(fromMS(from), zone)
		all = cover(all, samplesLevel, from, min(end.UnixMilli(), to))
		from = end.UnixMilli()
	}
	return all
}

// cover appends the fewest rows of a level and of those above that cover [from, to).
func cover(all []stretch, level int, from, to int64) []stretch {
	if up := level + 1; up < levels {
		first, end := spanOf(up, from+spans[up]-1), spanOf(up, to)
		if first < end {
			all = cover(all, level, from, first)
			all = cover(all, up, first, end)
			return cover(all, level, end, to)
		}
	}
	if from >= to {
		return all
	}
	if n := len(all) - 1; n >= 0 && all[n].level == level && all[n].to == from {
		all[n].to = to
		return all
	}
	return append(all, stretch{level, from, to})
}

// scope is what is read for a question: what was asked for, and what is beside it.
type scope struct {
	before, from, to, after int64 // ms; what is asked for is [from, to)
	around                  bool  // before and after are wanted, too
}

// How much is read beside what was asked for. The samples there cover some of it, and a counter's readings are checked
// against those before and after.
const (
	besideMS = 2 * energy.MaxReach
	beforeMS = 48 * 3600_000
	afterMS  = 24 * 3600_000
)

// scope returns what is read to answer q for a device whose samples lie in [first, last].
func (q Query) scope(first, last int64, around bool) scope {
	from, to := q.within(first, last)
	s := scope{before: from - besideMS, from: from, to: to, after: to + besideMS, around: around}
	if around {
		s.before, s.after = from-beforeMS, to+afterMS
	}
	s.before, s.after = spanOf(hourLevel, max(s.before, spanOf(dayLevel, first))), spanOf(hourLevel, s.after+spans[hourLevel]-1)
	s.before, s.after = min(s.before, from), max(min(s.after, spanOf(dayLevel, last)+spans[dayLevel]), to)
	return s
}

func (s scope) plan(r Resolution, zone *time.Location) []stretch {
	if s.from >= s.to {
		return nil
	}
	all := plan(s.from, s.to, r, zone)
	before, after := cover(nil, samplesLevel, s.before, s.from), cover(nil, samplesLevel, s.to, s.after)
	if !s.around {
		// One more row of an hour or longer is as good, and no range of its own.
		if first := &all[0]; first.level >= hourLevel {
			first.from -= spans[first.level]
			before = nil
		}
		if last := &all[len(all)-1]; last.level >= hourLevel {
			last.to += spans[last.level]
			after = nil
		}
	}
	return append(append(before, all...), after...)
}

// adder is an energy.Sum or an energy.Line.
type adder interface {
	Add(*energy.Rollup)
	AddBase(*energy.Rollup)
}

// addRow adds the rollup of a whole row of that level to a sum or a line.
func addRow(sum adder, level int, r *energy.Rollup) {
	if level == baseLevel {
		sum.AddBase(r)
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
	scope
	resolution Resolution
	zone       *time.Location

	line    energy.Line
	periods []energy.Period
	end     int64 // of the last period, ms
	sides   [2]energy.Period

	part    energy.Rollup // of samples, where a base rollup is cut
	partEnd int64
}

// Periods are made room for at once: each is more than a kilobyte.
const (
	day          = 24 * time.Hour
	mostPrepared = 1000
)

var usualLength = map[Resolution]time.Duration{
	Minute: time.Minute, FiveMinutes: 5 * time.Minute, Quarter: 15 * time.Minute, Hour: time.Hour, Day: day, Month: 30 * day, Year: 365 * day,
}

func newGatherer(q Query, s scope) *gatherer {
	g := &gatherer{scope: s, resolution: q.Resolution, zone: q.Zone}
	if length := usualLength[q.Resolution]; s.from < s.to {
		g.periods = make([]energy.Period, 0, min((s.to-s.from)/length.Milliseconds()+2, mostPrepared))
	}
	g.line.Account = g.account
	g.sides[0] = energy.Period{Start: fromMS(s.before), End: fromMS(s.from)}
	g.sides[1] = energy.Period{Start: fromMS(s.to), End: fromMS(s.after)}
	return g
}

// account returns what the time at belongs to, and until when.
func (g *gatherer) account(at int64) (r *energy.Rollup, until int64) {
	switch {
	case at < g.from:
		r, until = &g.sides[0].Rollup, g.from
	case at >= g.to:
		r, until = &g.sides[1].Rollup, math.MaxInt64
	default:
		if at >= g.end {
			start, end := g.resolution.Period(fromMS(at), g.zone)
			g.periods = append(g.periods, energy.Period{Start: start, End: end})
			g.end = end.UnixMilli()
		}
		return &g.periods[len(g.periods)-1].Rollup, min(g.end, g.to)
	}
	if !g.around {
		r = nil
	}
	return r, until
}

// row takes the rollup of a level.
func (g *gatherer) row(level int, r *energy.Rollup) {
	if r.Rows == 0 {
		return
	}
	g.endPart()
	addRow(&g.line, level, r)
}

func (g *gatherer) sample(s *wire.Sample) {
	ms := s.Time.UnixMilli()
	if ms >= g.partEnd {
		g.endPart()
		g.partEnd = spanOf(baseLevel, ms) + spans[baseLevel]
		for _, border := range [...]int64{g.from, g.to, g.borderAfter(ms)} {
			if border > ms {
				g.partEnd = min(g.partEnd, border)
			}
		}
	}
	g.part.Add(s)
}

// borderAfter returns the end of the period that ms is in.
func (g *gatherer) borderAfter(ms int64) int64 {
	if ms < g.from || ms >= g.to {
		return 0
	}
	_, end := g.resolution.Period(fromMS(ms), g.zone)
	return end.UnixMilli()
}

func (g *gatherer) endPart() {
	if g.part.Rows > 0 {
		g.line.AddBase(&g.part)
	}
	g.part, g.partEnd = energy.Rollup{}, 0
}

func (g *gatherer) done() []energy.Period {
	g.endPart()
	g.line.End()
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
