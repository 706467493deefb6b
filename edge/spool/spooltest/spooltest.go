// Package spooltest has samples for tests of the spool and of what uses it. Only tests import it.
package spooltest

import (
	"testing"
	"time"

	"sunspool/edge/spool/format"
	"sunspool/wire"
)

// Noon is when the first sample of a test is made.
var Noon = time.Date(2026, 6, 21, 12, 0, 0, 0, time.UTC)

// SampleAt returns a sample that differs from every other by its time.
func SampleAt(t time.Time) wire.Sample {
	v := float64(t.UnixMilli() % 10_000)
	return wire.Sample{DeviceID: "roof", Time: t, PVPowerW: v, BatteryPowerW: new(0 - v), BatterySOCPct: new(62.5),
		LoadPowerW: new(730.0), ExportPowerW: new(-3.0), Count: 1, Values: map[string]float64{"grid_frequency": 50.01}}
}

// Fill appends n samples, five seconds apart from Noon on.
func Fill(t testing.TB, s interface {
	Append(*wire.Sample, format.When) error
}, n int) []wire.Sample {
	t.Helper()
	var all []wire.Sample
	for i := range n {
		sample := SampleAt(Noon.Add(time.Duration(i) * 5 * time.Second))
		if err := s.Append(&sample, format.When{Quality: format.Synced}); err != nil {
			t.Fatal(err)
		}
		all = append(all, sample)
	}
	return all
}

// Peek returns up to n of the oldest samples of a spool.
func Peek(t testing.TB, s interface {
	Peek(n int, skip func(seq uint64) bool) ([]format.Record, error)
}, n int) []format.Record {
	t.Helper()
	records, err := s.Peek(n, nil)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// Seqs returns the numbers of records.
func Seqs(records []format.Record) (all []uint64) {
	for _, r := range records {
		all = append(all, r.Seq)
	}
	return all
}
