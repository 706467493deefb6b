package health

import "time"

const (
	atOnce   = 6         // lines of a kind that pass one after the other
	oneEvery = time.Hour // and from then on
)

// Bound keeps the log of something that comes and goes within bounds. Lines are told apart by their kind: a kind that
// is new passes at once, one that comes again and again passes once an hour, so at most 30 times in a day. Who logs
// counts what does not pass, and tries again: a state that stays is in the log within an hour. The zero value is ready.
type Bound struct {
	kinds map[string]*allowance
}

// allowance is how many lines of a kind may pass at a time.
type allowance struct {
	lines float64
	at    time.Time
}

// Allow reports whether a line of that kind may be logged at the time now. Kinds are few: codes, never texts that
// another machine makes up.
func (b *Bound) Allow(now time.Time, kind string) bool {
	if b.kinds == nil {
		b.kinds = make(map[string]*allowance)
	}
	a := b.kinds[kind]
	if a == nil {
		a = &allowance{atOnce, now}
		b.kinds[kind] = a
	}
	passed := max(now.Sub(a.at), 0) // a clock may be set back
	a.lines, a.at = min(a.lines+passed.Hours()/oneEvery.Hours(), atOnce), now
	if a.lines < 1 {
		return false
	}
	a.lines--
	return true
}
