package deviceinfo

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// skewBatches is how many batches the clock of an edge is judged by: one of them is mostly quick.
const skewBatches = 5

// skews are how much later than they were sent the last batches of a device arrived: by how much the clock of its edge is
// behind, and how long each was under way.
type skews []time.Duration

// add adds a batch. One without the time at which it was sent is of an edge of which nothing is known.
func (s skews) add(sent, arrived time.Time) skews {
	if sent.IsZero() {
		return nil
	}
	return append(s[max(0, len(s)+1-skewBatches):], arrived.Sub(sent))
}

// seconds returns the smallest of them, to the tenth; nil without any. A clock that was set right counts at once, and a slow
// line is not taken for a wrong clock: a clock is behind by that much at most, or ahead by that much at least.
func (s skews) seconds() *float64 {
	if len(s) == 0 {
		return nil
	}
	least := slices.MinFunc(s, func(a, b time.Duration) int { return cmp.Compare(a.Abs(), b.Abs()) })
	return new(math.Round(least.Seconds()*10) / 10)
}
