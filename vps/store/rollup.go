package store

import (
	"encoding/binary"
	"math"
	"time"

	"sunspool/wire"
)

// rollup is what a series needs to know of a period: sums, from which rollups of longer periods are made. Sums of
// energy belong here too; a stored rollup is derived from samples, so a new number in it is a new schema that rebuilds.
type rollup struct {
	count   uint64  // of raw samples
	max     float64 // of the PV power
	sums    [averages]float64
	weights [averages]uint64 // raw samples that had the value
}

// averages is the number of values that a bucket averages.
const averages = 5

const rollupSize = 8 * (2 + 2*averages)

func (r *rollup) addSample(s *wire.Sample) {
	if r.count == 0 {
		r.max = s.PVPowerW
	}
	r.max = max(r.max, s.PVPowerW)
	n := uint64(s.Count)
	r.count += n
	for i, v := range [averages]*float64{&s.PVPowerW, s.BatteryPowerW, s.BatterySOCPct, s.LoadPowerW, s.ExportPowerW} {
		if v != nil {
			r.sums[i] += *v * float64(n)
			r.weights[i] += n
		}
	}
}

func (r *rollup) add(o *rollup) {
	if r.count == 0 {
		r.max = o.max
	}
	r.max = max(r.max, o.max)
	r.count += o.count
	for i := range averages {
		r.sums[i] += o.sums[i]
		r.weights[i] += o.weights[i]
	}
}

// bucket returns r, which has a sample, as readers see it.
func (r *rollup) bucket(start time.Time) wire.Bucket {
	average := func(i int) *float64 {
		v := r.sums[i] / float64(r.weights[i])
		if math.IsNaN(v) || math.IsInf(v, 0) { // no sample had it, or a sum of absurd values: not a number for JSON
			return nil
		}
		return &v
	}
	return wire.Bucket{
		Start:            start.UTC(),
		AvgPVPowerW:      average(0),
		MaxPVPowerW:      &r.max,
		AvgBatteryPowerW: average(1),
		AvgBatterySOCPct: average(2),
		AvgLoadPowerW:    average(3),
		AvgExportPowerW:  average(4),
		SampleCount:      int(r.count),
	}
}

func (r *rollup) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, r.count)
	b = binary.BigEndian.AppendUint64(b, math.Float64bits(r.max))
	for i := range averages {
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(r.sums[i]))
		b = binary.BigEndian.AppendUint64(b, r.weights[i])
	}
	return b
}

// read sets r to what append wrote and reports whether b has the size of it.
func (r *rollup) read(b []byte) bool {
	if len(b) != rollupSize {
		return false
	}
	next := func() (v uint64) {
		v, b = binary.BigEndian.Uint64(b), b[8:]
		return v
	}
	r.count, r.max = next(), math.Float64frombits(next())
	for i := range averages {
		r.sums[i], r.weights[i] = math.Float64frombits(next()), next()
	}
	return true
}
