package edge

import (
	"testing"
	"time"

	"sunspool/wire"
)

var noon = time.Date(2026, 6, 21, 12, 0, 0, 0, time.UTC)

// sampleAt is a sample that can be told from every other by its time.
func sampleAt(t time.Time) wire.Sample {
	v := float64(t.UnixMilli() % 10_000)
	return wire.Sample{DeviceID: "roof", Time: t, PVPowerW: v, BatteryPowerW: new(0 - v), BatterySOCPct: new(62.5),
		LoadPowerW: new(730.0), ExportPowerW: new(-3.0), Count: 1, Values: map[string]float64{"grid_frequency": 50.01}}
}

func fill(t *testing.T, s *Spool, n int) []wire.Sample {
	t.Helper()
	var all []wire.Sample
	for i := range n {
		sample := sampleAt(noon.Add(time.Duration(i) * 5 * time.Second))
		if err := s.Append(&sample, When{Quality: Synced}); err != nil {
			t.Fatal(err)
		}
		all = append(all, sample)
	}
	return all
}

func peek(t *testing.T, s *Spool, n int) []Record {
	t.Helper()
	records, err := s.Peek(n, nil)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func seqs(records []Record) (all []uint64) {
	for _, r := range records {
		all = append(all, r.Seq)
	}
	return all
}
