package vps

import (
	"cmp"
	"context"
	"time"
)

// A row on its way is some kilobytes, and an answer may have thousands: they are computed some at once, and few answers of
// many rows at a time.
const (
	rowsAtOnce = 300
	maxLarge   = 4

	largePatience = 10 * time.Second // what waits takes nothing but a place, and leaves that to who needs it
)

// weigh waits until an answer of so many rows may be computed. Until it is written no more than maxLarge others are.
func (g *Gate) weigh(c *call, rows int) error {
	if rows <= rowsAtOnce || c.large != nil {
		return nil
	}
	if c.large = g.wait(c, g.large); c.large == nil {
		return cmp.Or(context.Cause(c.r.Context()), error(errBusy))
	}
	c.large.mayEnd(c.cancel)
	return nil
}

// turn calls f, which takes a processor for long, when it is the turn of c's token. That is few at a time: what is short would
// otherwise wait for all that is long, a slice of time for each.
func (g *Gate) turn(c *call, of *slots, f func() error) error {
	turn := g.wait(c, of)
	if turn == nil {
		return cmp.Or(context.Cause(c.r.Context()), error(errBusy))
	}
	defer turn.leave()
	return f()
}

// step calls f, which computes some of the rows of an answer: in turns, if the answer is one of many rows.
func (g *Gate) step(c *call, f func() error) error {
	if c.large == nil {
		return f()
	}
	return g.turn(c, g.reading, f)
}

// wait takes one of the slots. The time that this takes is not the store's.
func (g *Gate) wait(c *call, of *slots) *slot {
	began := g.Now()
	defer func() {
		if !c.asked.IsZero() {
			c.asked = c.asked.Add(g.Now().Sub(began))
		}
	}()
	return of.take(c.r.Context(), c.token)
}
