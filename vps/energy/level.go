package energy

import "math"

// Level is a run of readings of one lifetime counter of which each is possible after the one before. It counts by
// its high-water mark: a reading below adds nothing, and nothing again when the counter comes back.
type Level struct {
	First, Up, Since, Last int64   // ms: of its first reading, the first above that (0 for none), the first of High, the last
	Low, Next, High        float64 // kWh: the first reading, the one at Up, and the highest
	Step                   float64 // by which it rose to High; 0 when it never did, or is not known
	N                      int64   // readings

	// What the powers had integrated to since the start of the rollup, W·ms, at First, Since and Last.
	enter, mark, leave float64

	// In a table, where more is seen of a counter than in one rollup.
	items  []int32 // of which it was joined
	coarse bool    // the counter has whole kWh
}

// A reading is in doubt until its level stays: that long, and for that many readings.
const (
	staysFor = 10 * minute
	staysN   = 10
)

const (
	minute = int64(60_000) // ms
	kWh    = 3.6e9         // W·ms
	digit  = 0.21          // kWh, by which the last digit of a counter may jitter, up and down
	slack  = 0.2           // kWh, more than two counters of a tenth can be apart because they are read at different times
	ample  = 1.5           // times the greatest power that was seen
	leastW = 1000          // of the greatest power: a new unit has shown little yet
)

func (l *Level) brief() bool { return l.passing(l.Last - l.First) }

// passing reports whether a part of l that took so long has not stayed.
func (l *Level) passing(ms int64) bool {
	if l.N < staysN || ms < staysFor {
		return true
	}
	return ms < (staysN-1)*l.usual()
}

// usual returns how far apart the readings of l are, ms.
func (l *Level) usual() int64 { return (l.Last - l.First) / max(l.N-1, 1) }

// leads reports whether x can be the continuation of l: it rose by no more than the unit can make in the time between, or
// than what it did make since l rose last. Some counters have whole kWh, and some dongles show them minutes late. The first
// reading of x does not count where it was a dip or too high.
func (l *Level) leads(x *Level, watts float64) bool {
	if l.jitters(x.Low) {
		return true
	}
	from, at := x.Low, x.First
	if from < l.High {
		if !x.dipped(l) {
			return false
		}
		if from, at = x.Next, x.Up; from <= l.High {
			return true
		}
	}
	made := max(max(watts, leastW)*float64(at-l.Last), x.enter-l.mark)
	allowed := slack + ample*made/kWh
	switch {
	case !whole(l.High) || !whole(from):
	case l.wholes(): // and its last digit may jitter
		allowed += 2
	default:
		allowed++
	}
	return from-l.High <= allowed || x.overshot(l)
}

// dipped reports whether l began with a dip below the level before it: what it showed first did not stay.
func (l *Level) dipped(before *Level) bool {
	if l.Up == 0 {
		return before.jitters(l.High)
	}
	if l.brief() && l.High-l.Low-(l.mark-l.enter)/kWh <= digit {
		return false // it rose by what the powers integrate to
	}
	return (l.Next >= before.High || before.jitters(l.Next)) && l.passing(l.Up-l.First)
}

// overshot reports whether the first reading of l was too high: the energy of the powers fits the rise from the level before
// to the end of l, and not that from its beginning.
func (l *Level) overshot(before *Level) bool {
	rise, made := l.High-before.High, (l.mark-before.mark)/kWh
	own := l.High - l.Low - (l.mark-l.enter)/kWh
	return rise >= 0 && rise <= slack+ample*made && math.Abs(rise-made)+digit < -own
}

// jitters reports whether a reading differs from l in its last digit only.
func (l *Level) jitters(kwh float64) bool {
	dip := l.High - kwh
	return dip > 0 && (dip <= digit || dip <= 2 && l.wholes() && whole(kwh))
}

// wholes reports whether l shows whole kWh: a single reading may be whole by chance.
func (l *Level) wholes() bool {
	return l.coarse || l.High-l.Low > l.Step && whole(l.Low) && whole(l.Next) && whole(l.High) && whole(l.Step)
}

func whole(v float64) bool { return v == math.Trunc(v) }

// leastRises is how often a counter must rise to a whole number to be one of whole kWh.
const leastRises = 2

// coarse reports whether a counter has whole kWh: a few readings may be whole by chance, and where it stands.
func coarse(all []entry) bool {
	rises, last := 0, math.Inf(1)
	for i := range all {
		l := &all[i].Level
		for _, kwh := range [...]float64{l.Low, l.Next, l.High} {
			if !whole(kwh) {
				return false
			}
			if kwh > last {
				rises++
			}
			if kwh > 0 {
				last = kwh
			}
		}
	}
	return rises >= leastRises
}

// extend joins x to l, which leads to it.
func (l *Level) extend(x *Level) {
	l.climb(x)
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

// climb finds where l rose first, in x which is joined to it. While l is brief, a greater rise that the powers do not
// explain is taken instead: with such a one a dip ends, though it may have risen since.
func (l *Level) climb(x *Level) {
	show := func(at int64, kwh float64, jump bool) {
		if at != 0 && (jump && l.N < staysN || l.Up == 0 && kwh > l.Low+digit) {
			l.Up, l.Next = at, kwh
		}
	}
	show(x.First, x.Low, x.Low-l.High > max(l.Next-l.Low, digit, slack+(x.enter-l.mark)/kWh))
	unexplained := x.High-x.Low > slack+1.05*(x.mark-x.enter)/kWh // it and the counter may differ by their errors
	show(x.Up, x.Next, unexplained && x.passing(x.Up-x.First) && x.Next-x.Low > max(l.Next-l.Low, digit))
	show(x.Since, x.High, false)
}

// refuted reports whether the last rise of l was a wrong reading: it did not stay, and x is between what l was before and
// that, with what the powers made since.
func (l *Level) refuted(x *Level) bool {
	stood := l.Last - l.Since
	if l.Step == 0 || x.Low >= l.High || l.jitters(x.Low) || !l.passing(stood) {
		return false
	}
	if l.N >= staysN && stood >= (staysN-1)*shortGap {
		return false // its readings may seem to be further apart than they are, because of a gap
	}
	rise, below, spare := x.Low-(l.High-l.Step), digit, digit/2
	if l.wholes() && whole(x.Low) {
		below, spare = 2, 1+digit/2
	}
	made := (x.enter - l.mark) / kWh
	return rise+spare >= made || rise >= -below && made < digit/4 // next to nothing was made, and a digit jitters
}

// sink takes back the last rise of l: its last right reading was before that.
func (l *Level) sink() {
	l.High, l.Step = max(l.High-l.Step, l.Low), 0
	l.Since = max(l.Since-l.usual(), l.First)
	l.Last, l.leave = l.Since, l.mark
	if l.Next > l.High {
		l.Up, l.Next = 0, 0
	}
}

// levels are those of one counter, in the order of time.
type levels struct {
	all   []Level
	watts float64      // the greatest power of the unit, as far as is known
	sunk  func(*Level) // called with a level whose last rise was taken back; may be nil
}

// push puts x on top, and joins and drops what is decided by it:
//
//	100.1 ── 99.8 ── 100.2       a dip: it came back while nothing else stayed
//	100.1 ── 400 ── 100.2        a wrong reading, once what was before it and what is after it stay
//	100.1 ── 0.3 ── 0.4 ── ...   another counter, once it stays; that cannot be known while it is the last
//
// With the power of few samples less is joined than with the greatest that the unit has shown, never anything else.
func (s *levels) push(x Level) {
	s.all = append(s.all, x)
	for len(s.all) > 1 {
		n := len(s.all) - 1
		a, x := &s.all[n-1], &s.all[n]
		switch {
		case !x.brief() && s.refute(a, x):
			a.extend(x) // what was possible up to the wrong reading is so up to less
		case a.Step > digit && a.refuted(x):
			return // x has to stay before anything is decided
		case x.Low == a.High || a.jitters(x.Low): // it stands
			a.extend(x)
		case n > 1 && a.brief() && !a.goesOn(&s.all[n-2], x, s.watts) && s.doubtful(&s.all[n-2], a, x):
			s.all[n-1] = *x
		case a.leads(x, s.watts):
			a.extend(x)
		default:
			return
		}
		s.all = s.all[:n]
	}
}

// goesOn reports whether x continues l: the energy of the powers fits that better than that l is a dip below b.
func (l *Level) goesOn(b, x *Level, watts float64) bool {
	return x.Low >= l.High && l.leads(x, watts) && l.off(x)+digit < b.off(x)
}

// off returns by how much the rise from l to x differs from the energy of the powers in the time between, kWh.
func (l *Level) off(x *Level) float64 { return math.Abs(x.Low - l.High - (x.enter-l.mark)/kWh) }

// doubtful reports whether a, which is between b and x, is a dip or a wrong reading.
func (s *levels) doubtful(b, a, x *Level) bool {
	switch {
	case !b.leads(x, s.watts):
		return false
	case a.Low < b.High:
		return true
	}
	return !b.brief() && (x.Low < a.High && !x.brief() || b.off(x)+digit < a.off(x))
}

// refute takes back the last rise of a, if x shows that it was a wrong reading.
func (s *levels) refute(a, x *Level) bool {
	if !a.refuted(x) {
		return false
	}
	a.sink()
	if s.sunk != nil {
		s.sunk(a)
	}
	return true
}

// mostLevels bounds how many levels a rollup keeps of a counter whose readings are inconsistent.
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
	case len(c.earlier) == 0 && x.Low >= c.High && c.leads(&x, watts): // as most do
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
