package storetest

import (
	"encoding/binary"
	"math"

	"sunspool/vps/store/rollup"
	"sunspool/wire"
)

// rollupV1 is the rollup in version 1 of the packed form of samples that have the power of the panels only. Its energies
// differ from those of today's rules: each sample counts for ten seconds.
type rollupV1 struct {
	rows, count, first, last, maxAt int64
	max, sum                        float64
	counter                         [2]readingV1 // of the panels, the first and the last
}

type readingV1 struct {
	at  int64
	kwh float64
}

func (r *rollupV1) add(s *wire.Sample) {
	now := s.Time.UnixMilli()
	o := rollupV1{rows: 1, count: int64(s.Count), first: now, last: now, maxAt: now, max: s.PVPowerW, sum: s.PVPowerW * float64(s.Count)}
	if s.PVTotalKWh != nil {
		o.counter = [2]readingV1{{now, *s.PVTotalKWh}, {now, *s.PVTotalKWh}}
	}
	r.join(&o)
}

func (r *rollupV1) join(o *rollupV1) {
	if r.rows == 0 {
		*r = *o
		return
	}
	if o.max > r.max {
		r.max, r.maxAt = o.max, o.maxAt
	}
	r.rows, r.count, r.sum, r.last = r.rows+o.rows, r.count+o.count, r.sum+o.sum, o.last
	if r.counter[0].at == 0 {
		r.counter[0] = o.counter[0]
	}
	if o.counter[1].at != 0 {
		r.counter[1] = o.counter[1]
	}
}

// pack returns the packed form of version 1: a bit for each of 84 words, and those that are not zero.
func (r *rollupV1) pack() []byte {
	const integers, numbers = 37, 47
	var words [integers + numbers]uint64
	for i, v := range map[int]int64{
		0: r.rows, 1: r.count, 2: r.first, 3: r.last, 4: r.maxAt, 9: r.count, 14: 10_000 * r.rows, 19: r.counter[0].at, 20: r.counter[1].at,
	} {
		words[i] = uint64(v)
	}
	for i, v := range map[int]float64{
		0: r.max, 2: r.sum, 7: 10_000 * r.sum, 21: r.counter[0].kwh, 22: r.counter[1].kwh, 23: r.counter[1].kwh - r.counter[0].kwh,
	} {
		words[integers+i] = math.Float64bits(v)
	}
	const maskSize = (len(words) + 7) / 8
	b := append([]byte{1}, make([]byte, maskSize)...)
	for i, w := range words {
		if w != 0 {
			b[1+i/8] |= 1 << (i % 8)
			b = binary.LittleEndian.AppendUint64(b, w)
		}
	}
	return b
}

// KeyV1 names a rollup of one device.
type KeyV1 struct {
	Level int
	Start int64
}

// rollupsV1 are the rollups of all levels that version 1 had of samples, packed.
func rollupsV1(samples []wire.Sample) map[KeyV1][]byte {
	all := map[KeyV1]*rollupV1{}
	for i := range samples { // in the order of time
		for level := rollup.BaseLevel; level < rollup.Levels; level++ {
			k := KeyV1{Level: level, Start: rollup.StartOf(level, samples[i].Time.UnixMilli())}
			if all[k] == nil {
				all[k] = &rollupV1{}
			}
			all[k].add(&samples[i])
		}
	}
	packed := map[KeyV1][]byte{}
	for k, r := range all {
		packed[k] = r.pack()
	}
	return packed
}
