package upload

import "time"

const (
	goodAnswers = 3           // in a row, and
	goodFor     = time.Minute // without a refusal: then the server is taken to have recovered
	forgetAfter = time.Hour   // without a refusal, in any case
)

// breaker is a circuit breaker over the last results of samples: while it is open nothing is given up. Each sample counts once,
// however often it is refused. The results do not outlive their cause: three good responses and a minute clear them, and so
// does an hour without a refusal.
type breaker struct {
	results       [breakerWindow]bool // refused
	at            int
	refusals      int
	since         time.Time // of the first refusal that is counted
	last          time.Time // refusal, of whatever
	acceptedInRow int       // answers in a row since then that took all they were sent
}

// open reports whether so many samples are refused that the samples cannot be the cause.
func (b *breaker) open() bool { return b.refusals > breakerLimit }

func (b *breaker) gauge() int64 {
	if b.open() {
		return 1
	}
	return 0
}

func (b *breaker) accepted(n int) {
	for range min(n, breakerWindow) {
		b.record(false)
	}
}

func (b *breaker) refused(n int) {
	if b.refusals == 0 {
		b.since = now()
	}
	for range n {
		b.record(true)
	}
	b.refusedAgain()
}

// refusedAgain records any refusal, also of a sample that has been counted.
func (b *breaker) refusedAgain() { b.last, b.acceptedInRow = now(), 0 }

// acceptedAll records a response that took all samples of a request.
func (b *breaker) acceptedAll() { b.acceptedInRow++ }

// resetIfRecovered clears the results when their cause is gone, and reports whether it did.
func (b *breaker) resetIfRecovered() bool {
	quiet := now().Sub(b.last)
	if b.refusals == 0 || quiet < forgetAfter && !(b.open() && b.acceptedInRow >= goodAnswers && quiet >= goodFor) {
		return false
	}
	*b = breaker{last: b.last}
	return true
}

func (b *breaker) record(refused bool) {
	if b.results[b.at] {
		b.refusals--
	}
	b.results[b.at] = refused
	if refused {
		b.refusals++
	}
	b.at = (b.at + 1) % breakerWindow
}
