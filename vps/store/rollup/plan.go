// Package rollup is what all stores share: at which levels rows are kept, which rows a query needs, how periods are made of
// them, and which rollups are not computed yet. It reads and writes nothing itself.
//
//	Query ──NewScope──> Scope ──Plan──> ranges of rows ──(a store reads them)──> Gatherer ──> periods
//	late samples ──(too many to count at once)──> pending rollup ──Repairs──> (a store computes it)
package rollup

import (
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/store"
)

// Rows of a device are of five levels: samples, and rollups of five minutes, hours, four hours and days of UTC. A row of
// one level is the sum of those below it in its span. Five minutes divide the hours of every zone on earth; hours are
// those of all but a few zones. With those of four hours a local day is some nine rows where the zone's midnight is not
// that of UTC, and a year by days some 3,300; a month by itself is some 30 days and, at its two ends, as many rows.
const (
	SamplesLevel = iota
	BaseLevel
	HourLevel
	FourHourLevel
	DayLevel
	Levels
)

// Spans are how long a row of each level is, ms.
var Spans = [Levels]int64{
	1, energy.Base.Milliseconds(), time.Hour.Milliseconds(), (4 * time.Hour).Milliseconds(), (24 * time.Hour).Milliseconds(),
}

// StartOf returns when the row of that level begins in which ms lies.
func StartOf(level int, ms int64) int64 { return ms - ms%Spans[level] }

// Range is rows of one level that start in [from, to) ms.
type Range struct {
	Level    int
	From, To int64
}

// plan returns the fewest rows that, in ascending order, cover [from, to) and no period's end.
func plan(from, to int64, q store.Query) (all []Range) {
	for from < to {
		_, end := q.Period(FromMS(from))
		all = cover(all, SamplesLevel, from, min(end.UnixMilli(), to))
		from = end.UnixMilli()
	}
	return all
}

// cover appends the fewest rows of a level and of those above that cover [from, to).
func cover(all []Range, level int, from, to int64) []Range {
	if up := level + 1; up < Levels {
		first, end := StartOf(up, from+Spans[up]-1), StartOf(up, to)
		if first < end {
			all = cover(all, level, from, first)
			all = cover(all, up, first, end)
			return cover(all, level, end, to)
		}
	}
	if from >= to {
		return all
	}
	if n := len(all) - 1; n >= 0 && all[n].Level == level && all[n].To == from {
		all[n].To = to
		return all
	}
	return append(all, Range{level, from, to})
}

// Scope is what is read for a query: its time, and what is beside it.
type Scope struct {
	before, from, to, after int64 // ms; the query's time is [from, to)
	around                  bool  // before and after are part of the answer, too
}

// How much is read beside the query's time. The samples there cover some of it, and a counter's readings are checked
// against those before and after.
const (
	besideMS = 2 * energy.MaxReach
	beforeMS = 48 * 3600_000
	afterMS  = 24 * 3600_000
)

// NewScope returns what is read to answer q for a device whose samples lie in [first, last].
func NewScope(q store.Query, first, last int64, around bool) Scope {
	from, to := within(q, first, last)
	s := Scope{before: from - besideMS, from: from, to: to, after: to + besideMS, around: around}
	if around {
		s.before, s.after = from-beforeMS, to+afterMS
	}
	s.before, s.after = StartOf(HourLevel, max(s.before, StartOf(DayLevel, first))), StartOf(HourLevel, s.after+Spans[HourLevel]-1)
	s.before, s.after = min(s.before, from), max(min(s.after, StartOf(DayLevel, last)+Spans[DayLevel]), to)
	return s
}

// Plan returns which rows to read for q, in ascending order.
func (s Scope) Plan(q store.Query) []Range {
	if s.from >= s.to {
		return nil
	}
	all := plan(s.from, s.to, q)
	before, after := cover(nil, SamplesLevel, s.before, s.from), cover(nil, SamplesLevel, s.to, s.after)
	if !s.around {
		// One more row of an hour or longer is as good, and no range of its own.
		if first := &all[0]; first.Level >= HourLevel {
			first.From -= Spans[first.Level]
			before = nil
		}
		if last := &all[len(all)-1]; last.Level >= HourLevel {
			last.To += Spans[last.Level]
			after = nil
		}
	}
	return append(append(before, all...), after...)
}

// within returns the limits of q in ms, for a device whose samples lie in [first, last]. Where q has none they are those
// of whole rows of every level.
func within(q store.Query, first, last int64) (from, to int64) {
	from, to = StartOf(DayLevel, first), StartOf(DayLevel, last)+Spans[DayLevel]
	if !q.From.IsZero() {
		from = max(from, CeilMS(q.From))
	}
	if !q.To.IsZero() {
		to = min(to, CeilMS(q.To))
	}
	return from, to
}

// FromMS returns the time that is ms after 1970, in UTC.
func FromMS(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// CeilMS returns the first whole millisecond at or after t.
func CeilMS(t time.Time) int64 {
	ms := t.UnixMilli()
	if time.UnixMilli(ms).Before(t) {
		ms++
	}
	return ms
}

// PruneAtOnce is how many samples of a device one transaction deletes: inserts wait for it.
const PruneAtOnce = 10_000
