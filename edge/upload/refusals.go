package upload

import (
	"errors"
	"sync/atomic"
	"time"

	"sunspool/edge/spool"
	"sunspool/wire"
)

const (
	shortestRetry        = 5 * time.Minute  // after the first refusal of a sample; each further one doubles it,
	longestRetry         = time.Hour        // up to this
	refusalsToQuarantine = 3                // refusals until a sample is quarantined
	refusalSpan          = 10 * time.Minute // between the first and the last of them
	breakerWindow        = 1000             // that are counted
	breakerLimit         = 50               // refusals among them: then the breaker opens
	trialsPerMinute      = 10               // requests a minute that the search for bad samples may cost
	serverKnownFor       = time.Hour        // that a server is known by an earlier answer
	versionRest          = time.Hour        // between trials of the quarantine by servers of versions that are new
	requeueRest          = 24 * time.Hour   // between trials of what was quarantined before a server recovered
)

// errSchemaMismatch is the error of a server that refuses so much that the versions do not match, and not the samples are bad.
var errSchemaMismatch = errors.New("the server refuses sample after sample: nothing is given up")

// refusals holds the samples that the server does not take. A batch that is rejected as a whole is bisected, at a bounded
// pace, while everything else goes on; a sample that is rejected on its own is a suspect, stays out of all batches, and is
// tried alone until it has been refused often enough for long enough.
//
//	batch rejected ──> bisection ──> suspect ── 3 times in 10 min ──> quarantine
//	                       └── accepted: gone └── accepted: gone
//
// This state is not persisted; after a restart it is rebuilt.
type refusals struct {
	bisection   bisection
	suspects    map[uint64]*attempts
	future      future
	spent       [trialsPerMinute]time.Time // when the last trials were made, a ring
	trial       int
	breaker     breaker
	requeued    time.Time
	accepted    time.Time // when the server last took a sample
	lastRefusal *refusal  // the last one since then

	Suspects, BreakerOpen, Full atomic.Int64           // for the report
	Bisecting                   atomic.Int64           // samples of refused batches in which a suspect may be
	Reason                      atomic.Pointer[string] // of the last refusal
}

// attempts are the refusals of a sample that the server refused on its own.
type attempts struct {
	spool.Rejection
	counted   int       // refusals that count
	countedAt time.Time // the last of them
	all       int       // all refusals
	retryAt   time.Time
}

func (p *refusals) attemptsOf(seq uint64) *attempts {
	if p.suspects == nil {
		p.suspects = make(map[uint64]*attempts)
	}
	s := p.suspects[seq]
	if s == nil {
		s = &attempts{Rejection: spool.Rejection{Seq: seq}}
		p.suspects[seq] = s
		p.Suspects.Store(int64(len(p.suspects)))
	}
	return s
}

func (p *refusals) forget(seqs []uint64) {
	for _, seq := range seqs {
		delete(p.suspects, seq)
	}
	p.Suspects.Store(int64(len(p.suspects)))
}

// excluded reports whether a sample is to be left out of batches, so that it does not hold up the others.
func (u *Uploader) excluded(seq uint64) bool {
	_, suspect := u.refusals.suspects[seq]
	return suspect || u.refusals.bisection.has(seq) || u.refusals.future.has(seq) || u.oversize.has(seq) || u.deviceChange.covers(seq)
}

// trial returns what is to be tried apart now, if the budget allows it: first a suspect whose rest is over, then a sample
// of the future, then one that was too large for an intermediary, then the next segment of a rejected batch.
func (u *Uploader) trial() (b batch, err error) {
	p := &u.refusals
	if len(p.suspects) == 0 && len(p.bisection) == 0 && len(p.future.seqs) == 0 && len(u.oversize.seqs) == 0 || now().Sub(p.spent[p.trial]) < time.Minute {
		return batch{}, nil
	}
	for {
		seqs, hunted := p.dueSuspect(), false
		if seqs == nil {
			seqs = p.future.due()
		}
		if seqs == nil {
			seqs = u.oversize.due()
		}
		if seqs == nil {
			seqs, hunted = p.bisection.next(), true
		}
		if seqs == nil {
			return batch{}, nil
		}
		if b.records, err = u.Spool.Get(seqs); err != nil {
			return batch{}, err
		}
		if len(b.records) < len(seqs) { // gone by now, or damaged, which Peek handles
			have := make([]uint64, len(b.records))
			for i, r := range b.records {
				have[i] = r.Seq
			}
			if hunted {
				p.bisection.replace(have)
			} else {
				p.forget(seqs)
				p.future.drop(seqs)
				u.oversize.drop(seqs)
			}
			continue
		}
		p.spent[p.trial] = now()
		p.trial = (p.trial + 1) % trialsPerMinute
		b.bisected = hunted
		return b, nil
	}
}

// dueSuspect returns the suspect that waits longest for its next trial, nil if none is due.
func (p *refusals) dueSuspect() []uint64 {
	var first *attempts
	for _, s := range p.suspects {
		if !now().Before(s.retryAt) && (first == nil || s.retryAt.Before(first.retryAt) || s.retryAt.Equal(first.retryAt) && s.Seq < first.Seq) {
			first = s
		}
	}
	if first == nil {
		return nil
	}
	return []uint64{first.Seq}
}

// refused deals with records that the server refused as a whole. If the server is not known, nothing
// is bisected, and the refusal is an error like others.
func (u *Uploader) refused(records []spool.Record, hunted bool, e *refusal) error {
	if !u.identity.known {
		return e
	}
	u.refusals.noteRefusal(e)
	u.oversize.drop(numbers(records)) // what the server itself refuses has passed the intermediary
	h := &u.refusals.bisection
	if len(records) == 1 {
		if hunted {
			h.accepted(1, false)
		}
		return u.refusedAlone(records[0], e)
	}
	if hunted {
		h.refused(len(records))
	} else {
		h.add(records)
	}
	if u.refusals.breaker.open() {
		return errSchemaMismatch
	}
	return nil
}

// refusedAlone records that the server refused r on its own. It is given up only after it was refused again and again for the
// same reason, over a time in which a mistake of the server is mended. A refusal as too far in the future is about the clocks, not the
// sample.
func (u *Uploader) refusedAlone(r spool.Record, e *refusal) error {
	p := &u.refusals
	if e.code == wire.CodeInFuture {
		u.rejectedFuture([]spool.Record{r})
		return nil
	}
	if s := p.suspects[r.Seq]; s == nil || s.counted == 0 {
		p.breaker.refused(1)
		p.BreakerOpen.Store(p.breaker.gauge())
	}
	convicted := p.recordRefusal(spool.Rejection{Seq: r.Seq, Code: e.code, Detail: clip(e.why), First: now(), Last: now()})
	switch {
	case p.breaker.open():
		return errSchemaMismatch
	case convicted:
		return u.quarantine(p.suspects[r.Seq].Rejection)
	}
	return nil
}

// recordRefusal adds one refusal to the attempts of a suspect, and reports whether that is enough to quarantine it: refused often
// enough for the same reason, for long enough. A refusal counts only if the server took other samples since the one
// before: a server that takes nothing shows nothing about a sample.
func (p *refusals) recordRefusal(x spool.Rejection) bool {
	s := p.attemptsOf(x.Seq)
	if s.Code != x.Code {
		s.Rejection, s.counted = x, 0
	}
	if s.counted == 0 || p.accepted.After(s.countedAt) {
		s.counted++
		s.countedAt = now()
	}
	s.Detail, s.Last, s.retryAt = x.Detail, x.Last, now().Add(min(shortestRetry<<min(s.all, 10), longestRetry))
	s.all++
	return s.counted >= refusalsToQuarantine && s.Last.Sub(s.First) >= refusalSpan
}

// classify returns which of the samples that our own server refused one by one go to the quarantine now, while it took others
// of the same batch. While too many are refused none does, and while it takes nothing they are suspects
// as others are.
func (u *Uploader) classify(poisoned []spool.Rejection, taken int) (now []spool.Rejection, err error) {
	p := &u.refusals
	for _, x := range poisoned {
		if p.suspects[x.Seq] == nil {
			p.breaker.refused(1)
		}
	}
	p.BreakerOpen.Store(p.breaker.gauge())
	if len(poisoned) == 0 {
		return nil, nil
	}
	full, err := u.quarantineFull()
	switch {
	case err != nil:
		return nil, err
	case taken == 0 && p.breaker.open():
		return nil, errSchemaMismatch
	}
	for _, x := range poisoned {
		convicted := taken > 0 || p.recordRefusal(x)
		switch {
		case full || p.breaker.open():
			p.recordRefusal(x)
		case convicted:
			now = append(now, x)
		}
	}
	return now, nil
}

// beginQuarantine tries once what an earlier version refused, and looks at what is left of it for the report.
func (u *Uploader) beginQuarantine() error {
	if _, err := u.Spool.RequeueOnce("edge", u.Agent); err != nil {
		return err
	}
	_, err := u.quarantineFull()
	return err
}

// quarantineFull reports whether the quarantine takes no more, and stores it for the report.
func (u *Uploader) quarantineFull() (bool, error) {
	full, err := u.Spool.QuarantineFull()
	if full {
		u.refusals.Full.Store(1)
	} else {
		u.refusals.Full.Store(0)
	}
	return full, err
}

// quarantine moves one sample to the quarantine. When that is full the sample stays in the spool and is tried again.
func (u *Uploader) quarantine(p spool.Rejection) error {
	full, err := u.quarantineFull()
	if err != nil || full {
		return err
	}
	if err := u.Spool.Settle(nil, []spool.Rejection{p}); err != nil {
		return err
	}
	u.refusals.forget([]uint64{p.Seq})
	u.Rejected.Add(1)
	return nil
}

// noteRefusal stores a refusal for the report and for the breaker.
func (p *refusals) noteRefusal(e *refusal) {
	p.lastRefusal = e
	p.breaker.refusedAgain()
	p.Reason.Store(new(e.why))
}

// noteRefusals stores what our own server refused of a batch of which it took some.
func (p *refusals) noteRefusals(poisoned []spool.Rejection, taken int) {
	for _, x := range poisoned {
		p.noteRefusal(&refusal{code: x.Code, why: x.Code + ": " + x.Detail})
	}
	if taken > 0 {
		p.lastRefusal = nil
	}
	if taken > 0 && len(poisoned) == 0 {
		p.breaker.acceptedAll()
	}
}

// unanswered returns why no sample was accepted lately, nil if some was, or if none was refused. A few refused samples among
// accepted ones are not the server's fault.
func (p *refusals) unanswered() error {
	if p.lastRefusal == nil || now().Sub(p.accepted) < quietFor {
		return nil
	}
	return p.lastRefusal
}

// retryAll makes all suspects due and ends the bisection: what made the server refuse so much is gone.
func (p *refusals) retryAll() {
	p.bisection = nil
	for _, s := range p.suspects {
		s.retryAt = now()
	}
}

// recordAccepted records that the server took n samples. When the breaker closes, what was quarantined while it was open is tried
// again.
func (u *Uploader) recordAccepted(n int) error {
	b := &u.refusals.breaker
	braked, since := b.open(), b.since
	if n > 0 {
		u.refusals.accepted = now()
	}
	b.accepted(n)
	if b.resetIfRecovered() {
		u.refusals.retryAll()
	}
	u.refusals.BreakerOpen.Store(b.gauge())
	if !braked || b.open() || now().Sub(u.refusals.requeued) < requeueRest {
		return nil
	}
	u.refusals.requeued = now()
	_, err := u.Spool.Requeue(func(p spool.Rejection) bool { return !p.Last.Before(since) })
	return err
}
