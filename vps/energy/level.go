package energy

import "math"

// Level is a run of readings of one lifetime counter of which each is possible after the one before. It is believed by
// its high-water mark: a reading below adds nothing, and nothing again when the counter comes back.
type Level struct {
	First, Up, Since, Last int64   // ms: of its first reading, the first above that (0 for none), the first of High, the last
	Low, Next, High        float64 // kWh: the first reading, the one at Up, and the highest
	Step                   float64 // by which it rose to High; 0 when it never did, or is not known
	N                      int64   // readings

	// What the powers had integrated to since the start of the rollup, W·ms, at First, Since and Last.
	enter, mark, leave float64

	items []int32 // of which it was joined, in a table
}

// A reading is in doubt until its level stays: that long, and for that many readings.
const (
	staysFor = 10 * minute
	staysN   = 10
)

const (
	minute = int64(60_000) // ms
	kWh    = 3.6e9         // W·ms
	digit  = 0.21          // kWh, by which the last digit of a counter may tremble, up and down
	slack  = 0.2           // kWh, more than two counters of a tenth can be apart for reading them at different times
	spare  = 1.5           // times the greatest power that was seen
	leastW = 1000          // of the greatest power: a new unit has shown little yet
)

func (l *Level) brief() bool { return l.passing(l.Last - l.First) }

// passing reports whether a part of l that took so long has not stayed.
func (l *Level) passing(ms int64) bool {
	if l.N < staysN || ms < staysFor {
		return true
	}
	usual := (l.Last - l.First) / (l.N - 1)
	return ms < (staysN-1)*usual
}

// leads reports whether x can be what l went on to: it rose by no more than the unit can make in the time between, or
// than what it did make since l rose last. Some counters have whole kWh, and some dongles tell them minutes late.
func (l *Level) leads(x *Level, watts float64) bool {
	if l.trembles(x.Low) {
		return true
	}
	from, at := x.Low, x.First
	if from < l.High {
		if !x.dipped(l.High) {
			return false
		}
		from, at = x.Next, x.Up
	}
	made := max(max(watts, leastW)*float64(at-l.Last), x.enter-l.mark)
	allowed := slack + spare*made/kWh
	if whole(l.High) && whole(from) {
		allowed++
	}
	return from-l.High <= allowed
}

// dipped reports whether l began with a dip below a high-water mark: what it showed first did not stay.
func (l *Level) dipped(high float64) bool {
	return l.Up != 0 && l.Next >= high && l.passing(l.Up-l.First)
}

// trembles reports whether a reading is l but for its last digit.
func (l *Level) trembles(kwh float64) bool {
	dip := l.High - kwh
	return dip > 0 && (dip <= digit || dip <= 1 && whole(l.High) && whole(kwh))
}

func whole(v float64) bool { return v == math.Trunc(v) }

// extend joins x to l, which leads to it.
func (l *Level) extend(x *Level) {
	if well := l.Low + digit; l.Up == 0 {
		switch {
		case x.Low > well:
			l.Up, l.Next = x.First, x.Low
		case x.Next > well:
			l.Up, l.Next = x.Up, x.Next
		case x.High > well:
			l.Up, l.Next = x.Since, x.High
		}
	}
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

// refuted reports whether the last rise of l was a wrong reading: it did not stay, and x is nearer to where l was before.
func (l *Level) refuted(x *Level) bool {
	before := l.High - l.Step
	return l.Step > 0 && x.Low >= before-digit && x.Low-before < l.High-x.Low && l.passing(l.Last-l.Since)
}

// sink takes back the last rise of l.
func (l *Level) sink() {
	l.High, l.Step = l.High-l.Step, 0
	l.High = max(l.High, l.Low)
	if l.Next > l.High {
		l.Up, l.Next = 0, 0
	}
}

// levels are those of one counter, in the order of time.
type levels struct {
	all   []Level
	watts float64      // the greatest power of the unit, as far as is known
	sunk  func(*Level) // is told of a level that took back its last rise; may be nil
}

// push puts x on top, and joins and drops what is decided by it:
//
//	100.1 ── 99.8 ── 100.2       a dip: it came back while nothing else stayed
//	100.1 ── 400 ── 100.2        a wrong reading, if what was before it had stayed
//	100.1 ── 0.3 ── 0.4 ── ...   another counter, once it stays; that cannot be known while it is the last
//
// With the power of few samples less is joined than with the greatest that the unit has shown, never anything else.
func (s *levels) push(x Level) {
	s.all = append(s.all, x)
	for len(s.all) > 1 {
		n := len(s.all) - 1
		a, x := &s.all[n-1], &s.all[n]
		if a.refuted(x) {
			a.sink()
			if s.sunk != nil {
				s.sunk(a)
			}
		}
		switch {
		case x.Low == a.High || a.trembles(x.Low): // it stands
			a.extend(x)
		case n > 1 && a.brief() && !a.goesOn(x, s.watts) && s.doubtful(&s.all[n-2], a, x):
			s.all[n-1] = *x
		case a.leads(x, s.watts):
			a.extend(x)
		default:
			return
		}
		s.all = s.all[:n]
	}
}

// goesOn reports whether l was rising, and x goes on with it: no dip does that.
func (l *Level) goesOn(x *Level, watts float64) bool { return l.Up != 0 && x.Low >= l.High && l.leads(x, watts) }

// doubtful reports whether a, which is between b and x, is a dip or a wrong reading.
func (s *levels) doubtful(b, a, x *Level) bool {
	return b.leads(x, s.watts) && (a.Low < b.High || x.Low < a.High && !b.brief())
}

// mostLevels bounds what a rollup keeps of a counter that makes no sense.
const mostLevels = 6

// bounded drops the shortest of too many levels, but not the ends: they may be long where they go on.
func bounded(all []Level) []Level {
	if len(all) <= mostLevels {
		return all
	}
	least := 1
	for i := 2; i < len(all)-1; i++ {
		if all[i].N < all[least].N {
			least = i
		}
	}
	return append(all[:least], all[least+1:]...)
}

// Counter is what a lifetime counter showed in a span of time. Nearly always that is one level.
type Counter struct {
	Level           // the last one, N is 0 for none
	earlier []Level // in the order of time
}

func (c *Counter) push(x Level, watts float64) {
	switch {
	case c.N == 0:
		c.Level = x
		return
	case len(c.earlier) == 0 && !c.refuted(&x) && c.leads(&x, watts): // as most do
		c.extend(&x)
		return
	}
	s := levels{all: append(append(make([]Level, 0, len(c.earlier)+2), c.earlier...), c.Level), watts: watts}
	s.push(x)
	all := bounded(s.all)
	n := len(all) - 1
	c.earlier, c.Level = all[:n:n], all[n]
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
