package edge

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// margin is added between polls, and between an answer and the next read, so that they are not closer at the dongle
// than they were here, when the network delays one of them more than the other.
const margin = 10 * time.Millisecond

// restTime is the least time between two starts of polls, and between two connections.
const restTime = 5 * time.Second

// Pace keeps polls apart. A poll starts Interval after the one before it, and never sooner than restTime after the dongle
// was last touched, whatever happened between, and also across a restart of the process, because the dongle needs its
// rest and does not care why we came back. A poll that took too long is not caught up.
type Pace struct {
	Interval time.Duration
	File     string // for the next process, see LastTouch; "" forgets at exit

	// How long the host has been up, and which boot that is: a step of the wall clock between two processes shortens no
	// wait. Both are needed with File.
	Up     func() time.Duration
	BootID string

	stored    time.Duration // since the boot: the last touch that a spool has; 0 if none does
	recalled  bool          // what an earlier process left was taken into account
	marked    bool          // File has that this process polls
	last      time.Time     // when the last Wait returned
	touched   time.Time     // when the dongle was last touched
	touchedUp time.Duration // the same since the boot
	shown     atomic.Int64  // the same, Unix ms, for LastTouch
}

// Wait blocks until the next poll may start. It returns ctx's error if that comes first.
func (p *Pace) Wait(ctx context.Context) error {
	p.recall()
	due := p.last.Add(p.Interval)
	if rested := p.touched.Add(p.rest()); rested.After(due) {
		due = rested
	}
	if err := sleep(ctx, due.Add(margin).Sub(now())); err != nil {
		return err
	}
	p.last = now()
	return nil
}

// rest is how long the dongle is left alone between polls.
func (p *Pace) rest() time.Duration { return min(p.Interval, restTime) }

// Touch notes that the dongle notices us at this instant, by a connection or by the first request of a poll.
func (p *Pace) Touch() {
	p.recall()
	p.touched = now()
	p.shown.Store(p.touched.UnixMilli())
	if p.File == "" {
		return
	}
	p.touchedUp = p.Up()
	p.mark()
}

// LastTouch returns when this process last touched the dongle, zero if it has not. It may be called from any goroutine.
func (p *Pace) LastTouch() time.Time {
	if ms := p.shown.Load(); ms != 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

// Backoff says how long to wait after each failure in a row: exponential from Min to Max with jitter over the upper
// half, so that a hundred edges do not come back in step.
type Backoff struct {
	Min, Max time.Duration

	failures int
}

// Next is the wait after one more failure.
func (b *Backoff) Next() time.Duration {
	d := b.Min << min(b.failures, 30)
	if d > b.Max || d <= 0 {
		d = b.Max
	}
	b.failures++
	return d/2 + rand.N(d/2+1)
}

// Reset is to be called after a success.
func (b *Backoff) Reset() { b.failures = 0 }

// jitter returns d plus or minus up to a tenth.
func jitter(d time.Duration) time.Duration { return d - d/10 + rand.N(d/5+1) }

// sleep waits for d, which may be negative, or for ctx.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
