package energy

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// The packed form of a rollup, at rest in a store: the version, one bit for each word of it that is not zero, then those
// words, eight bytes each, little-endian. A rollup of another version counts as absent and is computed anew: the version
// changes with the words and with the arithmetic that makes them. Where samples were pruned only the rollup is left: once
// a version was released, Read must go on to read it.
const packVersion = 1

const (
	integers = 9 + averages + knowledge + Counters*3
	numbers  = 2 + averages + Energies + Counters*3 + len(ends{})
	words    = integers + numbers
	maskSize = (words + 7) / 8
)

// ends are the powers of the head and of the tail; which of them are known are bits beside them, for 0 W is another thing.
type ends [8]float64

// pointers returns where the words of r are.
func (r *Rollup) pointers(ends *ends, known *int64) (i [integers]*int64, f [numbers]*float64) {
	ni, nf := 0, 0
	integer := func(p *int64) { i[ni] = p; ni++ }
	number := func(p *float64) { f[nf] = p; nf++ }
	for _, p := range [...]*int64{&r.Rows, &r.Count, &r.First, &r.Last, &r.PVMaxAt, &r.ImportPeakAt, &r.headGap, &r.tailGap, known} {
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
	for k := range ends {
		number(&ends[k])
	}
	return i, f
}

// Append appends the packed form of r to b.
func (r *Rollup) Append(b []byte) []byte {
	ends, known := r.packEnds()
	ints, floats := r.pointers(&ends, &known)
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
	var ends ends
	var known int64
	ints, floats := r.pointers(&ends, &known)
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
	r.unpackEnds(&ends, known)
	return true
}

func (r *Rollup) packEnds() (all ends, known int64) {
	all[0], all[4] = r.head.PV, r.tail.PV
	for k, p := range r.ends() {
		if p != nil && *p != nil {
			all[k], known = **p, known|1<<k
		}
	}
	return all, known
}

func (r *Rollup) unpackEnds(all *ends, known int64) {
	r.head.PV, r.tail.PV = all[0], all[4]
	for k, p := range r.ends() {
		if p != nil && known&(1<<k) != 0 {
			*p = new(all[k])
		}
	}
}

// ends are where the powers are that may be absent, by their place.
func (r *Rollup) ends() [len(ends{})]**float64 {
	return [...]**float64{nil, &r.head.Load, &r.head.Battery, &r.head.Export, nil, &r.tail.Load, &r.tail.Battery, &r.tail.Export}
}
