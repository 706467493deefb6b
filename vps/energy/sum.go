package energy

import (
	"sync"
	"time"

	"sunspool/wire"
)

// end is the first or the last sample of a rollup.
type end struct {
	Powers
	reach  int64 // ms that it covers where no other sample does, on one side
	single bool  // it is the only one in its hour
}

// A sample covers the time around it, on either side half of the longest of: the poll interval of its sender, the time that
// its raw samples took, and the usual distance of the samples around it. Two samples divide the time between them in that
// proportion. It is a gap, in part uncovered, if it is longer than six minutes and than one and a half times what both cover.
const (
	hourMS     = int64(time.Hour / time.Millisecond)
	aloneReach = int64(5*time.Second/time.Millisecond) / 2 // of an edge that polls as fast as any may
	MaxReach   = hourMS / 2                                // of the slowest edge, ms
	shortGap   = 6 * minute
	longUsual  = 20 * minute // samples that are further apart for no known reason do not show a usual distance
	near       = int64(1000) // ms: two samples that are nearer are one
)

func reachOf(s *wire.Sample) int64 {
	return min(max(int64(s.Count)*aloneReach, s.Interval.Milliseconds()/2), MaxReach)
}

// share returns how much of the time between two samples each of them covers.
func (a *end) share(b *end, gap int64) (left, right int64) {
	if a.reach+b.reach == 0 {
		return 0, 0
	}
	left = int64(float64(gap) * float64(a.reach) / float64(a.reach+b.reach))
	right = gap - left
	if gap > shortGap && 2*gap > 3*(a.reach+b.reach) {
		return min(left, a.reach), min(right, b.reach)
	}
	return left, right
}

// Adjoins reports whether no gap is between r and a rollup of later samples.
func (r *Rollup) Adjoins(later *Rollup) bool {
	gap := later.First - r.Last
	left, right := r.tail.share(&later.head, gap)
	return left+right == gap
}

// Line joins rollups in the order of time, and adds what is known of each instant to the rollup that covers it. So hours
// add up to days and days to months, and a day that is asked for alone is the same as among others.
type Line struct {
	// Account returns the rollup that covers a time, nil for none, and where that ends. Times are ascending.
	Account func(at int64) (account *Rollup, until int64)

	// Bare leaves out what the first sample covers before it, and the last one after it.
	Bare bool

	parts *[]Rollup // of the hour that the last base rollup is in
	own   *Rollup   // account of the last sample
	tail  end
	last  int64 // its time, 0 for none
}

// AddBase adds a base rollup, or a part of one.
func (l *Line) AddBase(r *Rollup) {
	if r.Rows == 0 {
		return
	}
	if l.parts == nil {
		l.parts = spareParts.Get().(*[]Rollup)
	}
	if all := *l.parts; len(all) > 0 && all[0].First/hourMS != r.First/hourMS {
		l.endHour()
	}
	*l.parts = append(*l.parts, *r)
}

// spareParts are for the base rollups of an hour, which are some kilobytes.
var spareParts = sync.Pool{New: func() any { all := make([]Rollup, 0, time.Hour/Base); return &all }}

// Add adds the rollup of an hour or more.
func (l *Line) Add(r *Rollup) {
	if r.Rows > 0 {
		l.endHour()
		l.join(r)
	}
}

// End adds the rest to its account.
func (l *Line) End() {
	if l.endHour(); l.parts != nil {
		spareParts.Put(l.parts)
		l.parts = nil
	}
	if l.last != 0 && !l.Bare {
		if l.own != nil {
			l.own.quarter(l.tail.quarter(quarterOf(l.last), l.tail.reach))
		}
		l.cover(&l.tail.Powers, l.last, l.last+l.tail.reach)
	}
	l.last = 0
}

// endHour joins the base rollups of an hour, now that the usual distance of its samples is known.
func (l *Line) endHour() {
	if l.parts == nil || len(*l.parts) == 0 {
		return
	}
	parts := *l.parts
	usual := usualDistance(parts)
	for i := range parts {
		p := &parts[i]
		reach := usual / 2
		if p.apart > 0 {
			reach = (p.Last - p.First) / p.apart / 2
		}
		p.head.reach, p.tail.reach = max(p.head.reach, reach), max(p.tail.reach, reach)
		if len(parts) == 1 && p.Rows == 1 {
			p.head.single, p.tail.single = true, true
		}
		l.join(p)
	}
	*l.parts = parts[:0]
}

// usualDistance returns how far apart the samples of an hour are, gaps left out; 0 when that cannot be known.
func usualDistance(parts []Rollup) int64 {
	var short, long, n, gaps int64
	for i := range parts {
		p := &parts[i]
		if p.apart > 0 {
			short += p.Last - p.First
			n += p.apart
		}
		if i == 0 {
			continue
		}
		switch gap := p.First - parts[i-1].Last; {
		case gap < near:
		case gap <= shortGap:
			short += gap
			n++
		case gap <= longUsual:
			long += gap
			gaps++
		}
	}
	switch {
	case n > 0:
		return short / n
	case gaps > 0:
		return long / gaps
	}
	return 0
}

// join adds p, which ends with its samples, and what is between it and the one before.
func (l *Line) join(p *Rollup) {
	head := p.head
	right := head.reach
	if l.last != 0 {
		var left int64
		borrowReach(&l.tail, &head, p.First-l.last)
		left, right = l.tail.share(&head, p.First-l.last)
		if l.own != nil {
			l.own.quarter(l.tail.quarter(quarterOf(l.last), nearby(left, l.tail.reach)))
		}
		l.cover(&l.tail.Powers, l.last, l.last+left)
	}
	if l.last != 0 || !l.Bare {
		l.cover(&head.Powers, p.First-right, p.First)
	} else {
		right = 0
	}
	l.own, _ = l.Account(p.First)
	if l.own != nil {
		l.own.quarter(head.quarter(quarterOf(p.First), nearby(right, head.reach)))
		l.own.merge(p)
	}
	l.tail, l.last = p.tail, p.Last
}

// borrowReach sets the reach of a sample that is alone in its hour to that of its neighbour, if that is not far away: only the
// neighbour shows how far apart they usually are.
func borrowReach(a, b *end, gap int64) {
	if gap > longUsual {
		return
	}
	longer := max(a.reach, b.reach)
	if a.single {
		a.reach = longer
	}
	if b.single {
		b.reach = longer
	}
}

// cover covers the times from one to another with p.
func (l *Line) cover(p *Powers, from, to int64) {
	for from < to {
		account, until := l.Account(from)
		ms := min(until, to) - from
		if account != nil {
			account.cover(p, ms)
		}
		from += ms
	}
}

// Sum adds up the rollups of one span: that of an hour of base rollups, that of a day of shorter ones. They must come in
// the order of time.
type Sum struct {
	line  Line
	total Rollup
}

func (s *Sum) lines() *Line {
	if s.line.Account == nil {
		s.line.Bare = true
		s.line.Account = func(int64) (*Rollup, int64) { return &s.total, 1<<63 - 1 }
	}
	return &s.line
}

func (s *Sum) join(r *Rollup) { s.lines().join(r) }

// AddBase adds a base rollup.
func (s *Sum) AddBase(r *Rollup) { s.lines().AddBase(r) }

// Add adds the rollup of an hour or more.
func (s *Sum) Add(r *Rollup) { s.lines().Add(r) }

// Rollup returns the sum of all that was added.
func (s *Sum) Rollup() Rollup {
	s.lines().End()
	return s.total
}

// Reaches reports whether no sample of r needs a neighbour within d: the next one may still come.
func (r *Rollup) Reaches(d time.Duration) bool {
	return d.Milliseconds() <= 2*max(r.head.reach, r.tail.reach)
}
