package store

import (
	"testing"
	"time"

	"sunspool/wire"
)

// every returns s as an edge sends it that polls at that interval.
func every(interval time.Duration, s wire.Sample) wire.Sample {
	s.Interval = interval
	return s
}

// The interval is not of the reading: the first one stays, and a repetition with another one contradicts nothing.
func intervalStaysWithItsSample(t *testing.T, s Samples) {
	conflicts := func() uint64 { return s.(interface{ Conflicts() uint64 }).Conflicts() }
	if c, cached := s.(*Cached); cached {
		conflicts = func() uint64 { return c.Samples.(interface{ Conflicts() uint64 }).Conflicts() }
	}
	if r, cached := s.(*Redis); cached {
		conflicts = func() uint64 { return r.Samples.(interface{ Conflicts() uint64 }).Conflicts() }
	}
	none, rare := at(noon, 1), at(noon.Add(10*time.Minute), 2)
	rare.Values = map[string]float64{"grid_frequency": 49.98}
	insert(t, s, "a", 2, none, every(10*time.Minute, rare))
	insert(t, s, "a", 0, every(30*time.Second, none), rare, every(time.Minute, rare))
	if n := conflicts(); n != 0 {
		t.Errorf("%d conflicts", n)
	}
	other := every(10*time.Minute, rare)
	other.PVPowerW++
	insert(t, s, "a", 0, other)
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
