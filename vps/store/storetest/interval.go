package storetest

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/wire"
)

// every returns s as an edge sends it that polls at that interval.
func every(interval time.Duration, s wire.Sample) wire.Sample {
	s.Interval = interval
	return s
}

// The interval is not of the reading: the first one stays, and a repetition with another one contradicts nothing.
func intervalStaysWithItsSample(t *testing.T, s store.Samples) {
	conflicts := s.(conflicting).Conflicts
	none, rare := At(Noon, 1), At(Noon.Add(10*time.Minute), 2)
	rare.Values = map[string]float64{"grid_frequency": 49.98}
	Insert(t, s, "a", 2, none, every(10*time.Minute, rare))
	Insert(t, s, "a", 0, every(30*time.Second, none), rare, every(time.Minute, rare))
	if n := conflicts(); n != 0 {
		t.Errorf("%d conflicts", n)
	}
	other := every(10*time.Minute, rare)
	other.PVPowerW++
	Insert(t, s, "a", 0, other)
	if n := conflicts(); n != 1 {
		t.Errorf("%d conflicts after another power, want 1", n)
	}
	var got []time.Duration
	if err := s.Each(t.Context(), "a", time.Time{}, time.Time{}, func(s wire.Sample) bool {
		got = append(got, s.Interval)
		return true
	}); err != nil || len(got) != 2 || got[0] != 0 || got[1] != 10*time.Minute {
		t.Errorf("intervals %v, %v", got, err)
	}
}

// What a sample counts for is the same when it is read again: rollups do not depend on when they were computed.
func intervalIsInRollups(t *testing.T, s store.Samples) {
	var all []wire.Sample
	for i := range 48 {
		for m := range 2 { // in the same five minutes: the later one is added to what is known, or both are read again
			at := At(Noon.Add(time.Duration(20*i+m)*time.Minute), 600)
			all = append(all, every(20*time.Minute+700*time.Millisecond, at))
		}
	}
	reversed := slices.Clone(all)
	slices.Reverse(reversed)
	for device, samples := range map[string][]wire.Sample{"a": all, "b": reversed} {
		for batch := range slices.Chunk(samples, 7) {
			Insert(t, s, device, len(batch), batch...)
		}
	}
	for _, r := range []store.Resolution{store.FiveMinutes, store.Hour, store.Day, store.Year} {
		a, err := s.Periods(t.Context(), store.Query{Device: "a", Resolution: r})
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.Periods(t.Context(), store.Query{Device: "b", Resolution: r})
		if err != nil || len(a) != len(b) {
			t.Fatal(len(a), len(b), err)
		}
		for i := range a {
			if !bytes.Equal(a[i].Append(nil), b[i].Append(nil)) {
				t.Errorf("%s: of %v %+v in one order, %+v in another", r, a[i].Start, a[i].Rollup, b[i].Rollup)
			}
		}
		kwh := 0.0
		for i := range a {
			pv, _ := a[i].KWh(energy.PV)
			kwh += pv
		}
		if math.Abs(kwh-9.61) > 0.01 { // 16 h and a minute of 600 W
			t.Errorf("%s: %v kWh, want 9.61", r, kwh)
		}
	}
}
