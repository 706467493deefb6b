package energy

import "math"

// Level is a run of readings of one lifetime counter of which each is possible after the one before. It is believed by
// its high-water mark: a reading below adds nothing, and nothing again when the counter comes back.
type Level struct {
	First, Since, Last int64   // ms: of its first reading, of the first that showed High, of its last one
	Low, High          float64 // kWh: the first reading, and the highest
	Step               float64 // by which it rose last, 0 when it never did
	N                  int64   // readings

	// What the powers had integrated to since the start of the rollup, W·ms, at First, Since and Last.
	enter, mark, leave float64

	items []int32 // of which it was joined, in a table
}

// A counter is in doubt until it stays: that long, and for that many readings.
const (
	staysFor = 10 * minute
	staysN   = 10
)

const (
	minute = int64(60_000) // ms
	digit  = 0.11          // kWh, by which the last digit of a counter may tremble
	slack  = 0.2           // kWh, more than two counters of a tenth can be apart for reading them at different times
	spare  = 1.5           // times the greatest power that was seen
	leastW = 1000          // of the greatest power: a new unit has shown little yet
)

func (l *Level) brief() bool { return l.N < staysN || l.Last-l.First < staysFor }

// possible reports whether a unit of some power can have made kwh in that time.
func possible(kwh, watts float64, ms int64) bool {
	return kwh <= slack+spare*max(watts, leastW)*float64(ms)/3.6e9
}

// leads reports whether x can be what l went on to. What l did not show it may have made since it rose last: some
// counters have whole kWh, and some dongles tell them minutes late.
func (l *Level) leads(x *Level, watts float64) bool {
	return l.trembles(x) || x.Low >= l.High && possible(x.Low-l.High, watts, x.First-l.Since)
}

// follows is leads for what is next to each other.
func (l *Level) follows(x *Level, watts float64) bool {
	return l.trembles(x) || x.Low >= l.High && possible(x.Low-l.High, watts, x.First-l.Last)
}

// trembles reports whether x is l but for its last digit.
func (l *Level) trembles(x *Level) bool {
	dip := l.High - x.Low
	return dip > 0 && (dip <= digit || dip <= 1 && whole(l.High) && whole(x.Low))
}

func whole(v float64) bool { return v == math.Trunc(v) }

// extend joins x to l, which leads to it.
func (l *Level) extend(x *Level) {
	if rise := x.High - l.High; rise > 0 {
		l.Since, l.mark, l.Step, l.High = x.Since, x.mark, rise, x.High
		if x.Step > 0 {
			l.Step = min(rise, x.Step)
		}
	}
	l.N += x.N
	l.Last, l.leave = x.Last, x.leave
	l.items = append(l.items, x.items...)
}

// push puts x on top of the levels of a counter, and joins and drops what is decided by it:
//
//	100.1 ── 99.8 ── 100.2       a dip: it came back while nothing else stayed
//	100.1 ── 400 ── 100.2        a wrong reading, if what was before it had stayed
//	100.1 ── 0.3 ── 0.4 ── ...   another counter, once it stays; that cannot be known while it is the last
//
// With the power of few samples less is joined than with the greatest that the unit has shown, never anything else.
func push(levels []Level, x Level, watts float64) []Level {
	levels = append(levels, x)
	for len(levels) > 1 {
		n := len(levels) - 1
		a, x := &levels[n-1], &levels[n]
		switch {
		case n > 1 && a.brief() && doubtful(&levels[n-2], a, x, watts):
			levels[n-1] = *x
			levels = levels[:n]
		case a.follows(x, watts), !x.brief() && a.leads(x, watts):
			a.extend(x)
			levels = levels[:n]
		default:
			return bounded(levels)
		}
	}
	return levels
}

// doubtful reports whether a, which is between b and x, is a dip or a wrong reading.
func doubtful(b, a, x *Level, watts float64) bool {
	return b.leads(x, watts) && (a.Low < b.High || x.Low < a.High && !b.brief())
}

// mostLevels bounds what a rollup keeps of a counter that makes no sense.
const mostLevels = 6

// bounded drops the shortest of too many levels, but not the ends: they may be long where they go on.
func bounded(levels []Level) []Level {
	if len(levels) <= mostLevels || levels[0].items != nil {
		return levels
	}
	least := 1
	for i := 2; i < len(levels)-1; i++ {
		if levels[i].N < levels[least].N {
			least = i
		}
	}
	return append(levels[:least], levels[least+1:]...)
}

// Counter is what a lifetime counter showed in a span of time. Nearly always that is one level.
type Counter struct {
	Level           // the last one, N is 0 for none
	earlier []Level // in the order of time
}

func (c *Counter) push(x Level, watts float64) {
	if c.N == 0 {
		c.Level = x
		return
	}
	if len(c.earlier) == 0 && c.follows(&x, watts) {
		c.extend(&x)
		return
	}
	levels := push(append(append(make([]Level, 0, len(c.earlier)+2), c.earlier...), c.Level), x, watts)
	n := len(levels) - 1
	c.earlier, c.Level = levels[:n:n], levels[n]
	if n == 0 {
		c.earlier = nil
	}
}

// each calls f with each level, in the order of time.
func (c *Counter) each(f func(Level)) {
	for _, l := range c.earlier {
		f(l)
	}
	if c.N > 0 {
		f(c.Level)
	}
}

// join adds what the counter did later. The rollup of c had integrated to offset where that of o begins.
func (c *Counter) join(o *Counter, offset, watts float64) {
	o.each(func(l Level) {
		l.enter, l.mark, l.leave = l.enter+offset, l.mark+offset, l.leave+offset
		c.push(l, watts)
	})
}
