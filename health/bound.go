package health

import "time"

const (
	atOnce    = 6         // lines of a kind that pass one after the other
	oneEvery  = time.Hour // and from then on
	allAtOnce = 30        // lines of all kinds that pass one after the other, and as many in each hour
)

// Bound keeps the log of something that comes and goes within bounds. Lines differ by their kind: a kind that is new
// passes at once, one that comes again and again passes once an hour, so at most 30 times in a day. All kinds together
// pass at most 60 times in any hour, however many there are. The caller counts what does not pass, and tries again: a state
// that stays is in the log within an hour. The zero value is ready.
type Bound struct {
	kinds map[string]*allowance
	all   *allowance
}

// allowance is how many lines may pass at a time.
type allowance struct {
	lines float64
	at    time.Time
}

// refill adds what perHour gives for the time since the last call, up to most.
func (a *allowance) refill(now time.Time, perHour, most float64) {
	passed := max(now.Sub(a.at), 0) // a clock may be set back
	a.lines, a.at = min(a.lines+passed.Hours()*perHour, most), now
}

// Allow reports whether a line of this kind may be written now.
func (b *Bound) Allow(now time.Time, kind string) bool {
	if b.kinds == nil {
		b.kinds, b.all = make(map[string]*allowance), &allowance{allAtOnce, now}
	}
	a := b.kinds[kind]
	if a == nil {
		a = &allowance{atOnce, now}
		b.kinds[kind] = a
	}
	a.refill(now, float64(time.Hour/oneEvery), atOnce)
	b.all.refill(now, allAtOnce, allAtOnce)
	if a.lines < 1 || b.all.lines < 1 {
		return false
	}
	a.lines--
	b.all.lines--
	return true
}
