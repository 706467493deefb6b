// Package pace keeps things apart in time: the polls of a dongle, also across a restart of the process, and attempts after
// failures.
//
//	Wait ──> poll ──> Touch ──> Wait ──> poll ──> Touch ──> Leave ──> file ──> Wait of the next process
package pace

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Margin is added between polls, and between an answer and the next read: when the network delays one of them more than the
// other, they must not be closer at the dongle than they were here.
const Margin = 10 * time.Millisecond

// RestTime is the least time between two starts of polls, and between two connections.
const RestTime = 5 * time.Second

// Pace keeps polls apart. A poll starts Interval after the previous one, and never sooner than RestTime after the dongle was
// last touched, whatever happened in between. This holds across a restart of the process, too: the dongle needs its rest in
// any case. Missed polls are not made up for.
type Pace struct {
	Interval time.Duration
	File     string // for the next process, see lastTouch; "" forgets at exit

	// How long the host has been up, and the id of the boot: with these a step of the wall clock between two processes
	// shortens no wait. Both are required with File.
	Up     func() time.Duration
	BootID string

	stored    time.Duration // since the boot: the last touch stored in a spool; 0 if none is
	recalled  bool          // the last touch of an earlier process was taken into account
	marked    bool          // File states that this process polls
	last      time.Time     // when the last Wait returned
	touched   time.Time     // when the dongle was last touched
	touchedUp time.Duration // the same since the boot
	shown     atomic.Int64  // the same, Unix ms, for LastTouch
}

// Wait blocks until the next poll may start, or returns the error of ctx.
func (p *Pace) Wait(ctx context.Context) error {
	p.recall()
	due := p.last.Add(p.Interval)
	if rested := p.touched.Add(p.Rest()); rested.After(due) {
		due = rested
	}
	if err := Sleep(ctx, due.Add(Margin).Sub(now())); err != nil {
		return err
	}
	p.last = now()
	return nil
}

// Rest returns the minimum time between polls.
func (p *Pace) Rest() time.Duration { return min(p.Interval, RestTime) }

// Touch records that the dongle is used at this instant, by a connection or by the first request of a poll.
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

// TouchedSince returns the time from the boot to the last touch, 0 if it is not known. Only the goroutine that polls may call
// it.
func (p *Pace) TouchedSince() time.Duration { return p.touchedUp }

// now is the only place of the package that reads the host's clock: only to measure durations.
func now() time.Time { return time.Now() }

// Backoff computes the wait after each failure in a row: exponential from Min to Max, with jitter over the upper half so that
// a hundred edges do not retry in step.
type Backoff struct {
	Min, Max time.Duration

	failures int
}

// Next returns the wait after one more failure.
func (b *Backoff) Next() time.Duration {
	d := b.Min << min(b.failures, 30)
	if d > b.Max || d <= 0 {
		d = b.Max
	}
	b.failures++
	return d/2 + rand.N(d/2+1)
}

// Failures returns the number of failures in a row.
func (b *Backoff) Failures() int { return b.failures }

// Reset must be called after a success.
func (b *Backoff) Reset() { b.failures = 0 }

// Jitter returns d changed at random by up to 10 %.
func Jitter(d time.Duration) time.Duration { return d - d/10 + rand.N(d/5+1) }

// Sleep waits until d has passed, which may be negative, or ctx ends.
func Sleep(ctx context.Context, d time.Duration) error {
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
