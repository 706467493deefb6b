package store

import (
	"time"

	"sunspool/vps/energy"
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

// scopeOf returns what is read to answer q for a device whose samples lie in [first, last].
func scopeOf(q Query, first, last int64, around bool) scope {
	from, to := within(q, first, last)
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

// within returns the limits of q in ms, for a device whose samples lie in [first, last]. Where q has none they are those
// of whole rows of every level.
func within(q Query, first, last int64) (from, to int64) {
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

// pruneAtOnce is how many samples of a device one transaction deletes: inserts wait for it.
const pruneAtOnce = 10_000
