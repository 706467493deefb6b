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

// A lost sample was deleted in the middle of five minutes, a late one arrives while a day is being counted.
var (
	thinFrom = time.Date(2025, 7, 1, 0, 0, 0, 0, time.UTC)
	lostAt   = thinFrom.AddDate(0, 0, 50).Add(12 * time.Hour)
	lateAt   = thinFrom.AddDate(0, 0, 60).Add(12*time.Hour + time.Second)
)

// thinYear are samples of days, one each step and one a minute around lostAt and lateAt.
func thinYear(days int, step time.Duration) (all []wire.Sample) {
	end := thinFrom.AddDate(0, 0, days)
	for t := thinFrom; t.Before(end); t = t.Add(step) {
		all = append(all, thin(t))
		if t.Equal(lostAt) || t.Equal(lateAt.Truncate(time.Minute)) {
			for m := range 4 {
				all = append(all, thin(t.Add(time.Duration(m+1)*time.Minute)))
			}
		}
	}
	all[3].PVPowerW = 9999 // of the whole year the most, and pruned
	all[len(all)/2] = rated(all[len(all)/2], 8)
	return all
}

func thin(t time.Time) wire.Sample {
	s := At(t, math.Round(2000+2000*math.Sin(t.Sub(thinFrom).Hours()/24*2*math.Pi)))
	s.PVTotalKWh = new(math.Round(t.Sub(thinFrom).Hours()*20) / 10)
	return s
}

// Recounted is a store that can be made to look as version 1 left it.
type Recounted struct {
	Open func(t *testing.T, dir string) store.Samples

	// AsV1 closes the store and gives it these rollups and the schema that they had; a sample is lost.
	AsV1 func(t *testing.T, s store.Samples, dir string, rollups map[KeyV1][]byte, lost time.Time)

	// Halfway counts a day, and inserts before that is stored.
	Halfway func(t *testing.T, s store.Samples, insert func())
}

// What an earlier version counted is counted again where its samples are, and stays where they are gone.
func Recount(t *testing.T, of Recounted) {
	t.Parallel()
	days := 200 // over a New Year
	if testing.Short() {
		days = 90
	}
	dir, pruned, open := t.TempDir(), thinFrom.AddDate(0, 0, 30), of.Open
	all := thinYear(days, 15*time.Minute)
	old := open(t, dir)
	for batch := range slices.Chunk(all, 1000) {
		Insert(t, old, "a", len(batch), batch...)
	}
	if err := old.Describe(t.Context(), "described", store.About{Zone: "UTC"}); err != nil {
		t.Fatal(err)
	}
	for n := int64(1); n > 0; {
		var err error
		if n, err = old.Prune(t.Context(), pruned); err != nil {
			t.Fatal(err)
		}
	}
	of.AsV1(t, old, dir, rollupsV1(all), lostAt.Add(2*time.Minute))

	s := open(t, dir)
	greatest(t, s, "a", 0)
	fives := func(s store.Samples, from, to time.Time) []energy.Period {
		t.Helper()
		periods, err := s.Periods(t.Context(), store.Query{Device: "a", From: from, To: to, Resolution: store.FiveMinutes})
		if err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(periods, func(p energy.Period) bool { return p.Rows == 0 }) // beside samples
	}
	before := fives(s, time.Time{}, time.Time{})
	if len(before) != days*96 || !before[0].Old || !before[len(before)-1].Old {
		t.Fatalf("%d periods before, and what was read is not marked as old", len(before))
	}
	if settled(t, s, "a", pruned.AddDate(0, 0, 1), pruned.AddDate(0, 0, 2)) {
		t.Error("a rollup that is to be counted again has a digest: it changes without a sample")
	}
	Insert(t, s, "a", 1, all[len(all)-1], thin(all[len(all)-1].Time.Add(time.Minute)))
	Insert(t, s, "new", 1, At(Noon, 1))
	greatest(t, s, "new", 1)

	counted := 0
	for range days / 3 {
		n, err := s.Recount(t.Context())
		if err != nil || n != 1 {
			t.Fatalf("after %d days: %d, %v", counted, n, err)
		}
		counted += n
	}
	greatest(t, s, "a", 0)
	Insert(t, s, "a", 1, thin(lateAt))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	defer s.Close()
	next := thinFrom.AddDate(0, 0, days-counted-1)
	of.Halfway(t, s, func() {
		Insert(t, s, "a", 2, thin(next.Add(6*time.Hour+time.Second)), thin(next.Add(6*time.Hour+7*time.Minute)))
	})
	counted++
	for n := 1; n > 0; counted += n {
		var err error
		if n, err = s.Recount(t.Context()); err != nil || counted > days {
			t.Fatalf("after %d days: %v", counted, err)
		}
	}
	if counted != days-30 {
		t.Errorf("%d days were counted, %d have samples", counted, days-30)
	}
	greatest(t, s, "a", 9999)
	greatest(t, s, "described", 0)
	if !settled(t, s, "a", pruned.AddDate(0, 0, 1), pruned.AddDate(0, 0, 2)) {
		t.Error("a rollup that is counted again has no digest")
	}

	fresh := open(t, t.TempDir())
	defer fresh.Close()
	var left []wire.Sample
	if err := s.Each(t.Context(), "a", time.Time{}, time.Time{}, func(s wire.Sample) bool { left = append(left, s); return true }); err != nil {
		t.Fatal(err)
	}
	for batch := range slices.Chunk(left, 1000) {
		Insert(t, fresh, "a", len(batch), batch...)
	}
	samePeriods(t, s, fresh, pruned.AddDate(0, 0, 2), lostAt.Truncate(24*time.Hour))
	samePeriods(t, s, fresh, lostAt.Truncate(24*time.Hour).AddDate(0, 0, 1), time.Time{})

	for _, p := range fives(s, time.Time{}, time.Time{}) {
		gone := p.Start.Before(pruned) || p.Start.Equal(lostAt)
		if p.Old != gone {
			t.Fatalf("the rollup of %v is old: %v, want %v", p.Start, p.Old, gone)
		}
		if !gone {
			continue
		}
		was, found := slices.BinarySearchFunc(before, p.Start, func(p energy.Period, t time.Time) int { return p.Start.Compare(t) })
		if !found || p.Rows != before[was].Rows {
			t.Fatalf("of %v samples are forgotten", p.Start)
		}
		if beside := pruned.Add(-time.Hour); p.Start.Before(beside) && !bytes.Equal(p.Append(nil), before[was].Append(nil)) {
			t.Fatalf("the rollup of %v changed", p.Start)
		}
	}
}

// samePeriods compares the periods of two stores, byte by byte.
func samePeriods(t *testing.T, a, b store.Samples, from, to time.Time) {
	t.Helper()
	for _, name := range []string{"UTC", "Europe/Brussels"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []store.Resolution{store.FiveMinutes, store.Quarter, store.Hour, store.Day, store.Month, store.Year} {
			q := store.Query{Device: "a", From: from, To: to, Resolution: r, Zone: zone}
			got, _, err := a.Surrounded(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			want, _, err := b.Surrounded(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) || len(got) == 0 {
				t.Fatalf("%s in %s: %d periods, want %d", r, name, len(got), len(want))
			}
			for i := range got {
				if got[i].Old || !bytes.Equal(got[i].Append(nil), want[i].Append(nil)) {
					t.Fatalf("%s in %s: of %v %+v, want %+v", r, name, got[i].Start, got[i].Rollup, want[i].Rollup)
				}
			}
		}
	}
}
