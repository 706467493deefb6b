package inverter

import (
	"time"

	"sunspool/edge/registers"
)

// learn adapts the plan to the results of a poll. If other blocks that are usually answered failed as well, the cause is the
// dongle: such a burst changes nothing.
func (p plan) learn() {
	usual := 0
	for _, b := range p {
		if (b.outcome == refused || b.outcome == exceptional) && now().Sub(b.answered) < lasting {
			usual++
		}
	}
	for _, b := range p {
		own := 0
		if now().Sub(b.answered) < lasting {
			own = 1
		}
		b.learn(usual > own)
	}
}

// learn adapts the block to its result. burst is whether others failed as well.
func (p *planned) learn(burst bool) {
	t := now()
	switch p.outcome {
	case notTried:
		if p.partly {
			p.breaks = 0
		}
	case answered:
		p.pieces, p.failures, p.breaks, p.answered = nil, 0, 0, t
		if t.Sub(p.failed) > p.wait {
			p.wait = 0
		}
		if p.silent >= silentPolls {
			p.pieces, p.retry = []registers.Block{}, t.Add(lasting)
		}
	case broke:
		p.learnBreak(t)
	default:
		p.learnRefusal(t, burst)
	}
}

// learnBreak records that the connection was lost at this block.
func (p *planned) learnBreak(t time.Time) {
	p.failed = t
	if p.breaks++; p.breaks == 1 {
		p.breaking = t
	}
	switch {
	case p.block.Name == "A": // there is no poll without it
	case p.isLasting(p.breaks, p.breaking):
		p.skipUntil = t.Add(p.grow())
	case p.needed && p.breaks > 1: // else each poll would lose the blocks after it
		p.skipUntil = t.Add(min(20*time.Second<<(p.breaks-2), time.Minute))
	}
}

// learnRefusal records that the whole was answered with an exception, or with zeros.
func (p *planned) learnRefusal(t time.Time, burst bool) {
	p.breaks = 0
	if burst {
		p.failures = 0
		return
	}
	p.failed = t
	if p.failures++; p.failures == 1 {
		p.failing = t
	}
	switch {
	case p.outcome == refused && p.needed && !p.partly: // nothing of it is answered: the next poll reads it again
	case p.outcome == refused && p.isLasting(p.failures, p.failing):
		p.retry = t.Add(p.grow())
	case p.outcome == exceptional && !p.needed && t.Sub(p.failing) >= lasting:
		p.skipUntil = t.Add(p.grow())
	}
}

// isLasting reports whether so many failures in a row, the first at since, are a property of the inverter and no temporary
// fault.
func (p *planned) isLasting(failures int, since time.Time) bool {
	if p.needed {
		return failures >= maxFailures && now().Sub(since) >= lasting
	}
	return failures >= maxFailures || p.wait > 0
}

// grow returns how long the whole is not read now: longer each time, up to a limit.
func (p *planned) grow() time.Duration {
	switch {
	case p.needed:
		p.wait = lasting
	case p.wait == 0:
		p.wait = firstWait
	default:
		p.wait = min(2*p.wait, longestWait)
	}
	return p.wait
}
