package wire

import (
	"testing"
	"time"
)

func TestEqualSamplesSayTheSame(t *testing.T) {
	now := time.Date(2026, 7, 14, 12, 0, 0, 0, time.UTC)
	newSample := func() *Sample {
		return &Sample{DeviceID: "a", Time: now, PVPowerW: 1, LoadPowerW: new(2.0), Count: 1, Values: map[string]float64{"x": 3}}
	}
	moved := newSample()
	moved.Time = now.In(time.FixedZone("", 3600))
	rare := newSample()
	rare.Interval = time.Minute // is not of the reading, but of who sent it
	if !newSample().Equal(newSample()) || !newSample().Equal(rare) || !newSample().Equal(moved) {
		t.Error("the same is not equal")
	}
	changes := []func(*Sample){
		func(s *Sample) { s.DeviceID = "b" }, func(s *Sample) { s.Time = now.Add(1) }, func(s *Sample) { s.Count = 2 },
		func(s *Sample) { s.Values["x"] = 4 }, func(s *Sample) { s.Values = nil }, func(s *Sample) { s.LoadPowerW = nil },
	}
	for _, f := range Fields {
		changes = append(changes, func(s *Sample) { f.Set(s, new(7.0)) })
	}
	for i, change := range changes {
		other := newSample()
		change(other)
		if newSample().Equal(other) || other.Equal(newSample()) {
			t.Errorf("change %d is not seen", i)
		}
	}
}
