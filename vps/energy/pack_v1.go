package energy

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Version 1 of the packed form had no levels and no ends above five minutes, and averages by the count of samples. What is
// read of it is as exact as it was then: it is counted again where its samples are left.
const (
	v1Knowledge = 5
	v1Energies  = 14
	v1Integers  = 9 + averages + v1Knowledge + Counters*3
	v1Numbers   = 2 + averages + v1Energies + Counters*3 + 8
	v1Mask      = (v1Integers + v1Numbers + 7) / 8
)

func (r *Rollup) readVersion1(b []byte) bool {
	if len(b) < 1+v1Mask {
		return false
	}
	mask, b := b[1:1+v1Mask], b[1+v1Mask:]
	n := 0
	for _, m := range mask {
		n += bits.OnesCount8(m)
	}
	if spare := (v1Integers + v1Numbers) % 8; len(b) != 8*n || spare != 0 && mask[v1Mask-1]>>spare != 0 {
		return false
	}
	var all [v1Integers + v1Numbers]uint64
	for i := range all {
		if mask[i/8]&(1<<(i%8)) != 0 {
			all[i], b = binary.LittleEndian.Uint64(b), b[8:]
		}
	}
	w := v1Words{all[:v1Integers], all[v1Integers:]}
	*r = Rollup{Old: true}
	w.rollup(r)
	return true
}

// v1Words are the words that are not read yet.
type v1Words struct{ integers, numbers []uint64 }

func (w *v1Words) integer() int64 {
	v := int64(w.integers[0])
	w.integers = w.integers[1:]
	return v
}

func (w *v1Words) number() float64 {
	v := math.Float64frombits(w.numbers[0])
	w.numbers = w.numbers[1:]
	return v
}

func (w *v1Words) rollup(r *Rollup) {
	r.Rows, r.Count, r.First, r.Last, r.PVMaxAt = w.integer(), w.integer(), w.integer(), w.integer(), w.integer()
	r.apart = max(r.Rows-1, 0)
	peakAt, headGap, tailGap, known := w.integer(), w.integer(), w.integer(), w.integer()
	r.PVMax = w.number()
	r.Power = math.Abs(r.PVMax)
	if peak := w.number(); peakAt != 0 {
		r.peak = Quarter{peakAt, peak * float64(quarterMS), quarterMS}
	}
	for i := range averages {
		r.Weights[i], r.Sums[i] = w.integer(), w.number()
	}
	for i := range v1Knowledge {
		r.Covered[i] = w.integer()
	}
	for i := range v1Energies {
		r.Energy[i] = w.number()
	}
	r.Covered[KnowsOther] = r.Covered[KnowsLoad]
	if n := r.Weights[AvgSOC]; n > 0 {
		r.Covered[KnowsSOC] = r.Covered[KnowsPV]
		r.SOC = r.Sums[AvgSOC] / float64(n) * float64(r.Covered[KnowsSOC])
	}
	for k := range Counters {
		w.counter(r, k)
	}
	w.ends(r, known)
	if headGap|tailGap|known != 0 { // of five minutes: what its ends cover outside is not in it
		r.head.reach, r.tail.reach = aloneReach, aloneReach
	}
}

func (w *v1Words) counter(r *Rollup, k int) {
	first, last, jumps := w.integer(), w.integer(), w.integer()
	low, high, rise := w.number(), w.number(), w.number()
	if high <= 0 || math.IsNaN(low) {
		return
	}
	total := r.Energy[measured[k]]
	l := Level{First: first, Since: last, Last: last, Low: low, High: high, N: r.Rows, mark: total, leave: total}
	if low <= 0 {
		l.Low = high
	}
	if jumps > 0 {
		before := l
		before.High = l.Low + rise
		r.Counters[k].earlier = []Level{before}
		l.First, l.Low, l.enter = last, high, total
	}
	r.Counters[k].Level = l
}

func (w *v1Words) ends(r *Rollup, known int64) {
	for i, e := range [...]*end{&r.head, &r.tail} {
		e.PV = w.number()
		for j, p := range [...]**float64{&e.Load, &e.Battery, &e.Export} {
			if v := w.number(); known&(1<<(4*i+1+j)) != 0 {
				*p = &v
			}
		}
	}
}
