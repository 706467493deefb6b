package store

import (
	"fmt"
)

// MostInSpan is how many samples of a device are stored in any five minutes of the clock: 12:00 to 12:05, and so on. A
// device that is read ten times a second sends as many, fifty times as much as at the fastest poll of an edge. It bounds all
// work on one span. A span that has more from an earlier version keeps them.
const MostInSpan = 3000

// TooDense is why Insert stored nothing: with these samples of the call there would be more than MostInSpan in some five
// minutes. Without them, the others can be stored.
type TooDense struct {
	Indexes []int // ascending
}

func (e *TooDense) Error() string {
	return fmt.Sprintf("%d samples are too many in their five minutes, the first is sample %d", len(e.Indexes), e.Indexes[0])
}

func (e *TooDense) Unwrap() error { return ErrRefused }
