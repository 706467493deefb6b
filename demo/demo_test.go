package demo

import (
	"io"
	"path/filepath"
	"testing"
	"time"

	"sunspool/edge/simulator"
	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
)

// What load and grid say of the past is integrated: a day of it must be whole, and agree with the counters.
func TestHistoryOfTheDemoIsWhole(t *testing.T) {
	disk, err := bolt.Open(filepath.Join(t.TempDir(), "vps.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	started := time.Date(2026, 6, 23, 12, 0, 0, 0, time.UTC)
	home, err := simulator.NewHome(simulator.HomeOptions{Model: "SH10RT", Seed: 1, Since: simulator.Since(started.AddDate(0, 0, -recentDays-3))})
	if err != nil {
		t.Fatal(err)
	}
	s := &show{plant: &plant{home: home}, store: disk, started: started}
	c := Config{Days: recentDays + 3}
	if s.recent, err = s.rememberRecent(t.Context(), &c); err != nil {
		t.Fatal(err)
	}
	if err := s.remember(t.Context(), &c, newPanel(nil, io.Discard, s)); err != nil {
		t.Fatal(err)
	}
	days, _, err := disk.Surrounded(t.Context(), store.Query{Device: Device, From: started.AddDate(0, 0, -recentDays-2).Truncate(24 * time.Hour),
		To: started.Truncate(24 * time.Hour), Resolution: store.Day})
	if err != nil || len(days) != recentDays+2 {
		t.Fatal(days, err)
	}
	for _, d := range days {
		if covered := d.Coverage(energy.KnowsPV, started); covered < 0.999 {
			t.Errorf("%v: coverage is %v", d.Start, covered)
		}
		for meter, power := range map[int]int{energy.PVTotal: energy.PV, energy.ImportTotal: energy.Import, energy.ExportTotal: energy.Export} {
			counted := d.Counters[meter].High - d.Counters[meter].Low
			if kwh, ok := d.KWh(power); !ok || kwh < 0.9*counted-0.3 || kwh > 1.1*counted+0.3 {
				t.Errorf("%v: power %d integrates to %.2f kWh, its counter rose by %.2f", d.Start, power, kwh, counted)
			}
		}
	}
}
