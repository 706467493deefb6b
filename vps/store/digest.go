package store

import (
	"encoding/binary"
	"hash/maphash"
	"sort"
	"time"
)

// Digest is of what a store has of a device: what Periods and Surrounded return of whole five minutes, and what is computed of
// that alone, is the same as long as the digests of all days that they read are.
//
// Samples are only ever added, and the rollup of a day counts them: each new one changes it, in the same transaction. A
// rollup that may change without a new sample, because it is pending or of an earlier version's rules, has no digest.
type Digest struct {
	First, Last int64       // the days of UTC of the first and the last sample, ms since 1970; 0 without samples
	GreatestW   float64     // as GreatestW returns it
	Days        []DayDigest // those in the span that have samples, ascending
}

// DayDigest is of a day of UTC.
type DayDigest struct {
	Start int64  // ms since 1970
	Sum   uint64 // of its rollup, in this process alone; 0 if it has none
}

const dayMS = int64(24 * time.Hour / time.Millisecond)

// AddTo adds to a hash what d has of [from, to) ms, and false if a day in it has no digest. Days before and after that matter
// only in that there are some.
func (d *Digest) AddTo(h *maphash.Hash, from, to int64) (settled bool) {
	settled = true
	words := []int64{min(max(d.First, from-dayMS), to), min(max(d.Last, from-dayMS), to)}
	i := sort.Search(len(d.Days), func(i int) bool { return d.Days[i].Start+dayMS > from })
	for ; i < len(d.Days) && d.Days[i].Start < to; i++ {
		words = append(words, d.Days[i].Start, int64(d.Days[i].Sum))
		settled = settled && d.Days[i].Sum != 0
	}
	AddWords(h, int64(len(words)))
	AddWords(h, words...)
	return settled
}

// AddWords adds numbers to a hash.
func AddWords(h *maphash.Hash, words ...int64) {
	var b [8]byte
	for _, w := range words {
		binary.LittleEndian.PutUint64(b[:], uint64(w))
		h.Write(b[:])
	}
}
