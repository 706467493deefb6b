package bolt

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"sunspool/vps/store"
	"sunspool/wire"
)

// TestNoSampleIsLostWhereADayComesTwice: the periods of a query end, and have each sample once.
func TestNoSampleIsLostWhereADayComesTwice(t *testing.T) {
	b, err := Open(filepath.Join(t.TempDir(), "vps.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for i, c := range []struct{ zone, at string }{
		{"Asia/Amman", "2021-10-28T21:10:00Z"}, {"America/St_Johns", "2010-11-07T02:30:10Z"}, {"Antarctica/Casey", "2023-03-08T14:10:00Z"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		var samples []wire.Sample
		for n := range 400 {
			samples = append(samples, wire.Sample{Time: at.Add(time.Duration(n) * 30 * time.Second), PVPowerW: 1, Count: 1})
		}
		device := fmt.Sprint("d", i)
		if _, err := b.Insert(t.Context(), device, samples); err != nil {
			t.Fatal(err)
		}
		for _, r := range []store.Resolution{store.Quarter, store.Hour, store.Day, store.Month, store.Year} {
			periods, err := b.Periods(t.Context(), store.Query{Device: device, From: at.AddDate(0, 0, -2), To: at.AddDate(0, 0, 2), Resolution: r, Zone: zone})
			rows := int64(0)
			for j, p := range periods {
				rows += p.Rows
				if j > 0 && p.Start.Before(periods[j-1].End) {
					t.Errorf("%s: %s from %v, the one before ends at %v", c.zone, r, p.Start, periods[j-1].End)
				}
			}
			if err != nil || rows != 400 {
				t.Errorf("%s: %d of 400 samples in %d periods of %s (%v)", c.zone, rows, len(periods), r, err)
			}
		}
	}
}
