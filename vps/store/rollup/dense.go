package rollup

import (
	"iter"

	"sunspool/vps/energy"
	"sunspool/vps/store"
)

// Dense returns which of some samples are too many for their base row. The times, ms, are those of the samples that are new,
// by index; stored returns how many samples the base row has that begins then.
func Dense(times iter.Seq2[int, int64], stored func(base int64) int64) (indexes []int) {
	room := map[int64]int64{}
	for i, ms := range times {
		base := StartOf(BaseLevel, ms)
		left, known := room[base]
		if !known {
			left = store.MostInSpan - stored(base)
		}
		if left <= 0 {
			indexes = append(indexes, i)
		}
		room[base] = left - 1
	}
	return indexes
}

// WithRepeated returns the indexes of all of n samples that have the time, ms, of one of the given.
func WithRepeated(indexes []int, n int, ms func(i int) int64) (all []int) {
	if len(indexes) == 0 {
		return nil
	}
	times := map[int64]bool{}
	for _, i := range indexes {
		times[ms(i)] = true
	}
	for i := range n {
		if times[ms(i)] {
			all = append(all, i)
		}
	}
	return all
}

// A sample that comes later than others of its base row makes the rollup of it a recount. A transaction recounts what is
// little beside what it stores; the rest it leaves pending, see energy.Pending, and to the repairs that follow. So an insert
// costs by what it adds, however much its spans hold.
const (
	recountAlways = 512 // samples, whatever is stored
	recountEach   = 4   // more for each row that is
)

// RecountRoom returns how many samples a transaction that stores so many rows counts again at most.
func RecountRoom(rows int) int64 { return int64(recountAlways + recountEach*rows) }

// Known returns what the packed form of a rollup, or of one that is pending, has of the number and the times of samples.
func Known(packed []byte) (p energy.Pending, pending, ok bool) {
	if p, ok := energy.ReadPending(packed); ok {
		return p, true, true
	}
	var r energy.Rollup
	if !r.ReadPowers(packed) {
		return p, false, false
	}
	return r.Pending(), false, true
}
