package rollup

import (
	"math"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/wire"
)

// adder is an energy.Sum or an energy.Line.
type adder interface {
	Add(*energy.Rollup)
	AddBase(*energy.Rollup)
}

// AddRow adds the rollup of a whole row of that level to a sum or a line.
func AddRow(sum adder, level int, r *energy.Rollup) {
	if level == BaseLevel {
		sum.AddBase(r)
	} else {
		sum.Add(r)
	}
}

// AddLate adds samples, in ascending order, to the rollup r of a base row that has lost its samples, and returns the
// indexes of those that it counts. Those between the first and the last that r has seen are taken for
// repetitions: their keys are no longer known.
func AddLate(r *energy.Rollup, samples []*wire.Sample) (added []int) {
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

// Gatherer makes periods of rows that come in ascending order.
type Gatherer struct {
	Scope
	q store.Query

	line    energy.Line
	Periods []energy.Period
	end     int64 // of the last period, ms
	Sides   [2]energy.Period

	part    energy.Rollup // of samples, where a base rollup is cut
	partEnd int64
}

// Periods are made room for at once: each is more than a kilobyte.
const (
	day          = 24 * time.Hour
	mostPrepared = 1000
)

var usualLength = map[store.Resolution]time.Duration{
	store.Minute: time.Minute, store.FiveMinutes: 5 * time.Minute, store.Quarter: 15 * time.Minute, store.Hour: time.Hour, store.Day: day, store.Month: 30 * day, store.Year: 365 * day,
}

// NewGatherer returns a Gatherer of the periods of q, to which what s covers is added in ascending order.
func NewGatherer(q store.Query, s Scope) *Gatherer {
	g := &Gatherer{Scope: s, q: q}
	if length := usualLength[q.Resolution]; s.from < s.to {
		g.Periods = make([]energy.Period, 0, min((s.to-s.from)/length.Milliseconds()+2, mostPrepared))
	}
	g.line.Account = g.account
	g.Sides[0] = energy.Period{Start: FromMS(s.before), End: FromMS(s.from)}
	g.Sides[1] = energy.Period{Start: FromMS(s.to), End: FromMS(s.after)}
	return g
}

// account returns the rollup that the time at belongs to, and until when.
func (g *Gatherer) account(at int64) (r *energy.Rollup, until int64) {
	switch {
	case at < g.from:
		r, until = &g.Sides[0].Rollup, g.from
	case at >= g.to:
		r, until = &g.Sides[1].Rollup, math.MaxInt64
	default:
		if at >= g.end {
			start, end := g.q.Period(FromMS(at))
			g.Periods = append(g.Periods, energy.Period{Start: start, End: end})
			g.end = end.UnixMilli()
		}
		return &g.Periods[len(g.Periods)-1].Rollup, min(g.end, g.to)
	}
	if !g.around {
		r = nil
	}
	return r, until
}

// AddRow adds the rollup of a row of a level.
func (g *Gatherer) AddRow(level int, r *energy.Rollup) {
	if r.Rows == 0 {
		return
	}
	g.endPart()
	AddRow(&g.line, level, r)
}

// AddSample adds a sample.
func (g *Gatherer) AddSample(s *wire.Sample) {
	ms := s.Time.UnixMilli()
	if ms >= g.partEnd {
		g.endPart()
		g.partEnd = StartOf(BaseLevel, ms) + Spans[BaseLevel]
		for _, border := range [...]int64{g.from, g.to, g.borderAfter(ms)} {
			if border > ms {
				g.partEnd = min(g.partEnd, border)
			}
		}
	}
	g.part.Add(s)
}

// borderAfter returns the end of the period that ms is in.
func (g *Gatherer) borderAfter(ms int64) int64 {
	if ms < g.from || ms >= g.to {
		return 0
	}
	_, end := g.q.Period(FromMS(ms))
	return end.UnixMilli()
}

func (g *Gatherer) endPart() {
	if g.part.Rows > 0 {
		g.line.AddBase(&g.part)
	}
	g.part, g.partEnd = energy.Rollup{}, 0
}

// End returns the periods, when all is added.
func (g *Gatherer) End() []energy.Period {
	g.endPart()
	g.line.End()
	return g.Periods
}
