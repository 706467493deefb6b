package storetest

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/rollup"
	"sunspool/wire"
)

func pruningKeepsWhatIsAround(t *testing.T, s store.Samples) {
	var all []wire.Sample
	for i := range 90 {
		sample := At(Noon.Add(time.Duration(i)*time.Minute), 1)
		sample.PVTotalKWh = new(100 + float64(i)/10)
		all = append(all, sample)
	}
	Insert(t, s, "a", len(all), all...)
	ask := func(at time.Time) (packed []byte) {
		t.Helper()
		periods, around, err := s.Surrounded(t.Context(), store.Query{Device: "a", From: at, To: at.Add(time.Hour), Resolution: store.Hour})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range append(periods, around.Before, around.After) {
			packed = p.Append(packed)
		}
		return packed
	}
	borders := []time.Time{Noon, Noon.Add(energy.Base), Noon.Add(time.Hour)}
	var want [][]byte
	for _, b := range borders {
		want = append(want, ask(b))
	}
	for deleted := int64(1); deleted > 0; {
		var err error
		if deleted, err = s.Prune(t.Context(), Noon.Add(80*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	for i, b := range borders {
		if got := ask(b); !bytes.Equal(got, want[i]) {
			t.Errorf("around %v something else is known", b)
		}
	}
}

func pruningKeepsWhatRollupsSay(t *testing.T, s store.Samples) {
	all := Random(rand.New(rand.NewPCG(15, 16)), Noon, 30*time.Hour, 3000)
	Insert(t, s, "a", 3000, all...)
	Insert(t, s, "b", 1, At(Noon, 1))
	q := store.Query{Device: "a", Resolution: store.FiveMinutes}
	want, err := s.Periods(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	newest := Latest(t, s, "a")
	cut := Noon.Add(20*time.Hour + 2*time.Minute)
	for deleted := int64(1); deleted > 0; {
		if deleted, err = s.Prune(t.Context(), cut); err != nil {
			t.Fatal(err)
		}
	}
	left := 0
	s.Each(t.Context(), "a", time.Time{}, time.Time{}, func(s wire.Sample) bool {
		if left++; s.Time.Before(cut.Truncate(energy.Base)) {
			t.Errorf("a sample of %v is left", s.Time)
		}
		return true
	})
	if left == 0 || left > 1500 {
		t.Errorf("%d of 3000 samples are left", left)
	}
	compare := func(when string, q store.Query, want []energy.Period) {
		t.Helper()
		got, err := s.Periods(t.Context(), q)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: %d periods, %v; want %d", when, len(got), err, len(want))
		}
		for i := range got {
			if d := RollupDifference(&got[i].Rollup, &want[i].Rollup); d != "" {
				t.Fatalf("%s: period %d: %s", when, i, d)
			}
		}
	}
	compare("after pruning", q, want)
	Insert(t, s, "a", 0, all...) // an edge that sends again what was acknowledged long ago
	compare("after a repetition", q, want)

	// Late samples: before and after those that are gone, and where there never was one.
	for want[0].Rows == 0 {
		want = want[1:] // the first sample covers part of it
	}
	first := rollup.FromMS(want[0].Rollup.First)
	start, end := first.Truncate(energy.Base), first.Truncate(energy.Base).Add(energy.Base-1)
	gap := Noon.Add(-40 * time.Hour)
	late := []wire.Sample{At(start, 7), At(end, 7), At(gap, 7), At(gap.Add(time.Minute), 7)}
	if start.Equal(first) {
		t.Fatal("the first sample is at the very start")
	}
	Insert(t, s, "a", 4, late...)
	Insert(t, s, "a", 0, late...)
	got, err := s.Periods(t.Context(), q)
	got = slices.DeleteFunc(got, func(p energy.Period) bool { return p.Rows == 0 })
	want = slices.DeleteFunc(want, func(p energy.Period) bool { return p.Rows == 0 })
	if err != nil || len(got) != len(want)+1 || got[0].Rows != 2 || got[1].Rows != want[0].Rows+2 {
		t.Errorf("late samples: %d periods, %v, %d and %d rows; want %d, 2 and %d", len(got), err, got[0].Rows, got[1].Rows, len(want)+1, want[0].Rows+2)
	}
	hours, days := Rows(t, s, store.Hour), Rows(t, s, store.Day)
	if hours != 3004 || days != 3004 {
		t.Errorf("%d rows by hours, %d by days, want 3004", hours, days)
	}

	if _, err := s.Prune(t.Context(), Noon.AddDate(1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if got := Latest(t, s, "a"); !got.Time.Equal(newest.Time) {
		t.Errorf("the newest sample is of %v, was of %v", got.Time, newest.Time)
	}
	if got := Latest(t, s, "b"); !got.Time.Equal(Noon) {
		t.Errorf("the only sample of a device is gone")
	}
}
