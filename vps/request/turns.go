package request

import (
	"cmp"
	"context"
	"time"

	"sunspool/vps/fair"
)

// A row on its way is some kilobytes, and an answer may have thousands: they are computed some at once, and few answers of
// many rows at a time.
const (
	RowsAtOnce = 300
	maxLarge   = 4

	largePatience = 10 * time.Second // a request that waits has nothing but a slot, which another token can get
)

// Weigh waits until an answer of so many rows may be computed. Until it is written no more than maxLarge others are. What is
// not in memory as a whole has bounds of its own, see Request.Turns.
func (g *Gate) Weigh(c *Request, rows int) error {
	if rows <= RowsAtOnce || c.Large != nil || c.Turns {
		return nil
	}
	if c.Large = g.wait(c, g.Large); c.Large == nil {
		return cmp.Or(context.Cause(c.HTTP.Context()), error(ErrBusy))
	}
	c.Large.SetCancel(c.Cancel)
	return nil
}

// Turn calls f, which takes a processor for long, when it is the turn of c's token. That is few at a time: what is short would
// otherwise wait for all that is long, a slice of time for each.
func (g *Gate) Turn(c *Request, of *fair.Slots, f func() error) error {
	turn := g.wait(c, of)
	if turn == nil {
		return cmp.Or(context.Cause(c.HTTP.Context()), error(ErrBusy))
	}
	defer turn.Release()
	return f()
}

// Step calls f, which computes some of the rows of an answer: in turns, if the answer is one of many rows. With c.Turns each
// step has its own time with the store.
func (g *Gate) Step(c *Request, f func() error) error {
	if c.Large == nil && !c.Turns {
		return f()
	}
	if c.Turns {
		c.StoreSince = time.Time{}
	}
	return g.Turn(c, g.Reading, f)
}

// wait takes one of the slots. The time that this takes is not the store's.
func (g *Gate) wait(c *Request, of *fair.Slots) *fair.Slot {
	began := g.Now()
	defer func() {
		if !c.StoreSince.IsZero() {
			c.StoreSince = c.StoreSince.Add(g.Now().Sub(began))
		}
	}()
	return of.Take(c.HTTP.Context(), c.Token)
}
