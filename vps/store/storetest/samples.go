package storetest

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sunspool/vps/store"
	"sunspool/wire"
)

// Noon is when most tests begin.
var Noon = time.Date(2026, 7, 14, 12, 0, 0, 0, time.UTC)

// At is a sample with a power of the panels alone.
func At(t time.Time, pv float64) wire.Sample { return wire.Sample{Time: t, PVPowerW: pv, Count: 1} }

// Insert inserts samples, of which so many must be new.
func Insert(t *testing.T, s store.Samples, device string, want int, samples ...wire.Sample) {
	t.Helper()
	if n, err := s.Insert(t.Context(), device, samples); err != nil || n != want {
		t.Fatalf("inserted %d of %d samples, %v; want %d", n, len(samples), err, want)
	}
}

// Latest returns the newest sample of a device.
func Latest(t *testing.T, s store.Samples, device string) wire.Sample {
	t.Helper()
	got, err := s.Latest(t.Context(), device)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// Series returns the buckets of the periods of q.
func Series(t *testing.T, s store.Samples, q store.Query) []wire.Bucket {
	t.Helper()
	periods, err := s.Periods(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var buckets []wire.Bucket
	for i := range periods {
		if periods[i].Rows > 0 {
			buckets = append(buckets, periods[i].Bucket())
		}
	}
	return buckets
}

// Rows returns how many samples the periods of device a count.
func Rows(t *testing.T, s store.Samples, r store.Resolution) (n int64) {
	t.Helper()
	periods, err := s.Periods(t.Context(), store.Query{Device: "a", Resolution: r})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range periods {
		n += p.Rows
	}
	return n
}

// Random returns n samples at different times in [from, from+span), in no order, some values absent.
func Random(r *rand.Rand, from time.Time, span time.Duration, n int) []wire.Sample {
	times := map[int64]bool{}
	for len(times) < n {
		times[from.UnixMilli()+r.Int64N(span.Milliseconds())] = true
	}
	samples := make([]wire.Sample, 0, n)
	for _, ms := range slices.Sorted(maps.Keys(times)) {
		s := wire.Sample{Time: time.UnixMilli(ms).UTC(), PVPowerW: float64(r.IntN(50_000)) / 10, Count: 1 + r.IntN(3)*r.IntN(20)}
		for _, f := range wire.Fields[1:] {
			if r.IntN(4) > 0 {
				f.Set(&s, new(float64(r.IntN(100_000)-50_000)/10))
			}
		}
		samples = append(samples, s)
	}
	r.Shuffle(n, func(i, j int) { samples[i], samples[j] = samples[j], samples[i] })
	return samples
}

// house returns sample i of a house with a battery that is polled every step: contract fields and counters.
func house(start time.Time, step time.Duration, i int) wire.Sample {
	t := start.Add(time.Duration(i) * step)
	hour := float64(t.Unix()%86400) / 3600
	tenth := func(v float64) *float64 { return new(math.Round(v*10) / 10) }
	pv := math.Round(max(0, 5000*math.Sin((hour-6)/12*math.Pi)) * (1 + 0.1*math.Sin(float64(i))))
	load := 300 + float64(i*7919%900)
	charge := math.Round(max(-2000, min(2000, pv-load)))
	grown := float64(i) * step.Hours()
	return wire.Sample{
		Time: t, PVPowerW: pv, PVDailyKWh: tenth(hour), BatteryPowerW: &charge, BatterySOCPct: tenth(20 + 3*hour),
		BatteryTempC: tenth(18 + hour/4), LoadPowerW: &load, ExportPowerW: new(pv - load - charge), Count: 1,
		PVTotalKWh: tenth(20_000 + grown), ImportTotalKWh: tenth(4000 + grown/3), ExportTotalKWh: tenth(9000 + grown/2),
		ChargeTotalKWh: tenth(7000 + grown/4), DischargeTotalKWh: tenth(6500 + grown/4), DirectTotalKWh: tenth(8000 + grown/3),
	}
}

// Houses are n samples of House, the first of them that with index from.
func Houses(start time.Time, step time.Duration, from, n int) []wire.Sample {
	samples := make([]wire.Sample, n)
	for i := range samples {
		samples[i] = house(start, step, from+i)
	}
	return samples
}
