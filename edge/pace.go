package edge

import (
	"context"
	"math/rand/v2"
	"os"
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
	File     string // its modification time is the last touch; "" forgets at exit

	// How long the host has been up, and which boot that is. The file then has the boot in it and, as modification
	// time, how long the host had been up: a step of the wall clock between two processes shortens no wait. Nil takes
	// the wall clock.
	Up     func() time.Duration
	BootID string

	kept    bool      // the file is of this boot
	last    time.Time // when the last Wait returned
	touched time.Time // when the dongle was last touched
}

// Wait blocks until the next poll may start. It returns ctx's error if that comes first.
func (p *Pace) Wait(ctx context.Context) error {
	if p.last.IsZero() && p.touched.IsZero() {
		p.last = p.remembered()
	}
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
	p.touched = now()
	if p.File == "" {
		return
	}
	// The file is a courtesy to the next process. Without it that process waits no longer than it must anyway.
	mark := p.touched
	if p.Up != nil {
		mark = time.Unix(0, int64(p.Up()))
	}
	err := os.ErrNotExist
	if p.kept {
		err = os.Chtimes(p.File, mark, mark)
	}
	if os.IsNotExist(err) && os.WriteFile(p.File, []byte(p.BootID), 0o600) == nil {
		os.Chtimes(p.File, mark, mark)
		p.kept = true
	}
}

// remembered is when an earlier process touched the inverter, if that can matter, and long ago otherwise.
func (p *Pace) remembered() time.Time {
	info, err := os.Stat(p.File)
	if p.File == "" || err != nil {
		return now().Add(-p.Interval - margin)
	}
	// ago is looked up before now: what passes between the two makes the wait longer, not shorter.
	if p.Up != nil {
		ago := p.ago(info)
		return now().Add(-min(ago, p.Interval+margin))
	}
	t := now()
	long := t.Add(-p.Interval - margin)
	touched := noEarlier(info.ModTime())
	if touched.Before(long) {
		return long
	}
	if touched.After(t) { // the clock was set back: wait one interval, which is always enough
		return t
	}
	return t.Add(touched.Sub(t)) // t's monotonic reading, so that a step of the clock cannot shorten the wait
}

// ago is for how long the inverter was not touched, at least.
func (p *Pace) ago(info os.FileInfo) time.Duration {
	up := p.Up()
	if id, err := os.ReadFile(p.File); err != nil || string(id) != p.BootID {
		return up // it was before this boot
	}
	return max(up-time.Duration(noEarlier(info.ModTime()).UnixNano()), 0)
}

// noEarlier is the latest time that a file system may have kept as t: many cut the modification time, FAT to 2 s, ext3
// to 1 s, exFAT to 10 ms.
func noEarlier(t time.Time) time.Time {
	switch ns := t.Nanosecond(); {
	case ns == 0:
		return t.Add(2 * time.Second)
	case ns%int(10*time.Millisecond) == 0:
		return t.Add(10 * time.Millisecond)
	}
	return t
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
