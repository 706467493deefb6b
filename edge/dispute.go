package edge

import (
	"fmt"
	"time"

	"sunspool/edge/spool"
	"sunspool/health"
)

// ahead is what the server refused because it is of the future.
type ahead struct {
	accused bool
	from    time.Time // the earliest that was refused; zero if that is not known
}

// latest returns what our server said of the time since the last Check, nil if it said nothing.
func (c *Clock) latest() *hearing {
	c.mu.Lock()
	defer c.mu.Unlock()
	heard := c.heard
	if c.heard = nil; heard != nil {
		c.said = heard
	}
	return heard
}

// Accused takes note that the server refused samples of these times because they are of the future. If the clock was
// ahead when they were made, and is set right now or later, the next Check dates them again.
func (c *Clock) Accused(of ...time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead.accused = true
	for _, t := range of {
		if c.ahead.from.IsZero() || t.Before(c.ahead.from) {
			c.ahead.from = t
		}
	}
}

// Acquitted takes note that the server took a sample of that time: if it is one that it had refused, that time has come.
func (c *Clock) Acquitted(of time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ahead.from.IsZero() && !of.Before(c.ahead.from) {
		c.ahead = ahead{}
	}
}

// retract takes back times that a clock gave which was ahead, once it is right: truth is the time now. The server has
// none of these samples: it refused one that is no later than any of them.
func (c *Clock) retract(truth time.Time) error {
	c.mu.Lock()
	accused := c.ahead
	c.mu.Unlock()
	if !accused.accused {
		return nil
	}
	if t := accused.from.Add(-spool.MaxAhead - time.Millisecond); !accused.from.IsZero() && t.After(truth) {
		truth = t
	}
	if !accused.from.IsZero() && !c.Spool.Newest().After(truth.Add(spool.MaxAhead)) {
		return nil // the clock is ahead still, or the server's is behind
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
	if c.ahead == accused { // else there is more of it
		c.ahead = ahead{}
	}
	return nil
}

// disputed says that our clock and the server's differ by so much that the server will not take the samples. It holds
// until the server says something else.
func (c *Clock) disputed(ours spool.Anchor) error {
	said := c.said
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
