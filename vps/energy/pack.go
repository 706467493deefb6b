package energy

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// The packed form of a rollup, at rest in a store: the version, one bit for each word of it that is not zero, then those
// words, eight bytes each, little-endian. A rollup of another version counts as absent and is computed anew: the version
// changes with the words and with the arithmetic that makes them.
const packVersion = 2

const (
	integers = 4 + averages + 2 + knowledge + Counters*3 + 2
	numbers  = averages + 2 + Energies + Counters*3 + 4
	words    = integers + numbers
	maskSize = (words + 7) / 8
)

// pointers returns where the words of r are. An absent power in the tail is told by presence, see tailBits.
func (r *Rollup) pointers(tail *[4]float64, known *int64) (i [integers]*int64, f [numbers]*float64) {
	ni, nf := 0, 0
	integer := func(p *int64) { i[ni] = p; ni++ }
	number := func(p *float64) { f[nf] = p; nf++ }
	for _, p := range [...]*int64{&r.Rows, &r.Count, &r.First, &r.Last, &r.PVMaxAt, &r.ImportPeakAt, &r.gap, known} {
		integer(p)
	}
	number(&r.PVMax)
	number(&r.ImportPeak)
	for k := range averages {
		integer(&r.Weights[k])
		number(&r.Sums[k])
	}
	for k := range knowledge {
		integer(&r.Covered[k])
	}
	for k := range Energies {
		number(&r.Energy[k])
	}
	for k := range Counters {
		c := &r.Counters[k]
		integer(&c.First.At)
		integer(&c.Last.At)
		integer(&c.Jumps)
		number(&c.First.KWh)
		number(&c.Last.KWh)
		number(&c.Rise)
	}
	for k := range tail {
		number(&tail[k])
	}
	return i, f
}

// Append appends the packed form of r to b.
func (r *Rollup) Append(b []byte) []byte {
	tail, known := r.packTail()
	ints, floats := r.pointers(&tail, &known)
	b = append(b, packVersion)
	mask := len(b)
	b = append(b, make([]byte, maskSize)...)
	word := 0
	put := func(v uint64) {
		if v != 0 {
			b[mask+word/8] |= 1 << (word % 8)
			b = binary.LittleEndian.AppendUint64(b, v)
		}
		word++
	}
	for _, p := range ints {
		put(uint64(*p))
	}
	for _, p := range floats {
		put(math.Float64bits(*p))
	}
	return b
}

// Read sets r to what Append wrote, and reports whether b is that, whole.
func (r *Rollup) Read(b []byte) bool {
	if len(b) < 1+maskSize || b[0] != packVersion {
		return false
	}
	mask, b := b[1:1+maskSize], b[1+maskSize:]
	n := 0
	for _, m := range mask {
		n += bits.OnesCount8(m)
	}
	if len(b) != 8*n || words%8 != 0 && mask[maskSize-1]>>(words%8) != 0 {
		return false
	}
	*r = Rollup{}
	var tail [4]float64
	var known int64
	ints, floats := r.pointers(&tail, &known)
	word := 0
	next := func() (v uint64) {
		if mask[word/8]&(1<<(word%8)) != 0 {
			v, b = binary.LittleEndian.Uint64(b), b[8:]
		}
		word++
		return v
	}
	for _, p := range ints {
		*p = int64(next())
	}
	for _, p := range floats {
		*p = math.Float64frombits(next())
	}
	r.unpackTail(tail, known)
	return true
}

// packTail returns the tail's powers and a bit for each that is known: 0 W and not known are different.
func (r *Rollup) packTail() (tail [4]float64, known int64) {
	for i, p := range [4]*float64{&r.tail.PV, r.tail.Load, r.tail.Battery, r.tail.Export} {
		if p != nil {
			tail[i], known = *p, known|1<<i
		}
	}
	return tail, known
}

func (r *Rollup) unpackTail(tail [4]float64, known int64) {
	r.tail.PV = tail[0]
	if known>>1 == 0 {
		return
	}
	kept := tail // one place for all: many are read, few are added to
	for i, p := range [4]**float64{nil, &r.tail.Load, &r.tail.Battery, &r.tail.Export} {
		if p != nil && known&(1<<i) != 0 {
			*p = &kept[i]
		}
	}
}
