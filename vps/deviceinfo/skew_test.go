package deviceinfo

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestSkewIsTheSmallestOfTheLastBatches(t *testing.T) {
	sent := time.Date(2026, 6, 21, 10, 30, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		after []float64 // s from sent to arrived; 0 of a batch that does not have when it was sent
		want  string
	}{
		"right":                       {[]float64{0.42}, "0.4"},
		"a slow line":                 {[]float64{25, 0.3, 40, 33, 28}, "0.3"},
		"behind":                      {[]float64{40.2, 47, 41, 55, 40.4}, "40.2"},
		"ahead":                       {[]float64{-39.8, -35, -39.6}, "-35"},
		"set right":                   {[]float64{-39.8, -39.7, -39.6, -39.8, 0.2}, "0.2"},
		"wrong since several batches": {[]float64{0.2, 61, 60.3, 60.2, 62, 60.5}, "60.2"},
		"an older edge since":         {[]float64{0.2, 60, 0}, "unknown"},
		"nothing yet":                 {nil, "unknown"},
	} {
		var s skews
		for _, after := range c.after {
			arrived := sent.Add(time.Duration(after * float64(time.Second)))
			if after == 0 {
				s = s.add(time.Time{}, arrived)
			} else {
				s = s.add(sent, arrived)
			}
		}
		got := "unknown"
		if v := s.seconds(); v != nil {
			got = fmt.Sprint(*v)
		}
		if got != c.want || len(s) > skewBatches {
			t.Errorf("%s: %s of %v, want %s", name, got, s, c.want)
		}
	}
}

func TestSkewsOfAnEdgeDoNotGrow(t *testing.T) {
	var s skews
	for range 1000 {
		s = s.add(time.Unix(1, 0), time.Unix(2, 0))
	}
	if len(s) != skewBatches || cap(s) > 8*skewBatches || slices.Max(s) != time.Second {
		t.Errorf("%d of %d", len(s), cap(s))
	}
}
