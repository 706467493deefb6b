package clock

import (
	"fmt"
	"time"

	"sunspool/edge/spool"
	"sunspool/health"
)

// rejected is what the server rejected as of the future.
type rejectedFuture struct {
	any  bool
	from time.Time // the earliest time that was rejected, zero if not known
}

// takeObserved returns the server time since the last Check, nil if there is none.
func (c *Clock) takeObserved() *serverTime {
	c.mu.Lock()
	defer c.mu.Unlock()
	heard := c.observed
	if c.observed = nil; heard != nil {
		c.lastObserved = heard
	}
	return heard
}

// RejectedFuture records that the server rejected samples of these times as of the future. If the clock was ahead when they were
// made, and is set right now or later, the next Check gives them new times.
func (c *Clock) RejectedFuture(of ...time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rejected.any = true
	for _, t := range of {
		if c.rejected.from.IsZero() || t.Before(c.rejected.from) {
			c.rejected.from = t
		}
	}
}

// Accepted records that the server accepted a sample of that time. If it had rejected such a one, that time has come.
func (c *Clock) Accepted(of time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.rejected.from.IsZero() && !of.Before(c.rejected.from) {
		c.rejected = rejectedFuture{}
	}
}

// retract takes back the times that a clock gave while it was ahead, once it is right: truth is the time now. The server has
// none of these samples: it rejected one that is no later than any of them.
func (c *Clock) retract(truth time.Time) error {
	c.mu.Lock()
	accused := c.rejected
	c.mu.Unlock()
	if !accused.any {
		return nil
	}
	if t := accused.from.Add(-spool.MaxAhead - time.Millisecond); !accused.from.IsZero() && t.After(truth) {
		truth = t
	}
	if !accused.from.IsZero() && !c.Spool.Newest().After(truth.Add(spool.MaxAhead)) {
		return nil // the clock is still ahead, or the server's is behind
	}
	n, err := c.Spool.Retract(truth)
	if n > 0 {
		c.Log.Warn("samples from the future are dated anew", "samples", n)
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rejected == accused { // else more samples were rejected meanwhile
		c.rejected = rejectedFuture{}
	}
	return nil
}

// disputed returns the fault of a clock that differs from the server's by so much that the server rejects the samples, until the
// server's next time agrees.
func (c *Clock) disputed(ours spool.Anchor) error {
	said := c.lastObserved
	if said == nil || said.Near(ours, spool.MaxAhead) {
		return nil
	}
	f := &health.Fault{
		Code: "clock_disputed", What: fmt.Sprintf("this host's clock and the server's differ by %v", time.Duration(ours.Start-said.Start).Round(time.Second)),
		Why:  "a time server vouches for this host's clock, so the server's is taken to be wrong",
		Next: "set the clock of the server; samples that it takes to be from the future wait until then",
	}
	if ours.Quality == spool.Believed {
		f.Why = "CLOCK_TRUST=always believes this host's clock"
		f.Next = "set the clock that is wrong: this host's, or the server's; samples that it takes to be from the future are kept until then"
	}
	return f
}
