package storetest

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"sunspool/internal/race"
	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/wire"
)

// What is asked of many devices is, to the last bit, what is asked of each: while samples come late and in any order, some are
// pruned, and devices are silent for hours and days.
func manyAreEachOfThem(t *testing.T, s store.Samples) {
	race.Skip(t, "arithmetic")
	r := rand.New(rand.NewPCG(21, 22))
	var zones []*time.Location
	for _, name := range []string{"UTC", "Europe/Brussels", "Asia/Kathmandu"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		zones = append(zones, zone)
	}
	devices := []string{"a", "b", "none", "d", "a"}
	const days = 14
	day := Noon.Truncate(24 * time.Hour)
	var waiting [][]wire.Sample // one batch each, and of which device
	var of []string
	for _, device := range devices[:2] {
		for n := range days {
			if r.IntN(6) == 0 {
				continue
			}
			at := day.AddDate(0, 0, n).Add(time.Duration(r.Int64N(int64(24 * time.Hour))))
			some := withCounters(r, Random(r, at, time.Duration(1+r.IntN(30))*time.Hour, 5+r.IntN(60)), day)
			for batch := range slices.Chunk(some, 1+r.IntN(30)) {
				waiting, of = append(waiting, batch), append(of, device)
			}
		}
	}
	Insert(t, s, "d", 1, At(day.AddDate(0, 0, days+3), 10))
	r.Shuffle(len(waiting), func(i, k int) { waiting[i], waiting[k], of[i], of[k] = waiting[k], waiting[i], of[k], of[i] })
	for range 60 { // late ones, on either side of a midnight
		midnight, _ := store.Day.Period(day.AddDate(0, 0, 2+r.IntN(days-2)), zones[r.IntN(2)])
		waiting = append(waiting, withCounters(r, Random(r, midnight.Add(-40*time.Minute), 80*time.Minute, 1), day))
		of = append(of, devices[r.IntN(2)])
	}
	ask := func(when string, q store.Query) {
		t.Helper()
		many, err := s.SurroundedOf(t.Context(), devices, q)
		if err != nil || len(many) != len(devices) {
			t.Fatalf("%s: %d of %d devices, %v", when, len(many), len(devices), err)
		}
		for i, device := range devices {
			q.Device = device
			periods, around, err := s.Surrounded(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if around.GreatestW, err = s.GreatestW(t.Context(), device); err != nil {
				t.Fatal(err)
			}
			if d := surroundingsDifference(&many[i], &store.Surroundings{Periods: periods, Around: around}); d != "" {
				t.Fatalf("%s: %s of %s by %s from %v to %v: %s", when, device, q.Zone, q.Resolution, q.From, q.To, d)
			}
		}
	}
	pruned := false
	for i, batch := range waiting {
		if _, err := s.Insert(t.Context(), of[i], batch); err != nil { // of five minutes that were pruned some are repetitions
			t.Fatal(err)
		}
		if !pruned && i > len(waiting)*2/3 {
			pruned = true
			for deleted := int64(1); deleted > 0; {
				var err error
				if deleted, err = s.Prune(t.Context(), day.AddDate(0, 0, 3)); err != nil {
					t.Fatal(err)
				}
			}
		}
		for k := range 3 {
			q := store.Query{Resolution: []store.Resolution{store.Day, store.Day, store.Day, store.Day, store.Month, store.Hour, store.Year}[r.IntN(7)], Zone: zones[r.IntN(len(zones))]}
			// Few questions, which come again and again.
			n := r.IntN(4)
			q.From = day.AddDate(0, 0, n).Add(time.Duration(n) * 77 * time.Minute / 2).In(q.Zone)
			if n < 2 {
				q.From, _ = store.Day.Period(q.From, q.Zone)
			}
			if q.To = q.From.AddDate(0, 0, 4+4*r.IntN(3)); r.IntN(8) == 0 {
				q.From, q.To = time.Time{}, time.Time{}
			}
			if r.IntN(8) == 0 {
				q.Cuts = []time.Time{day.AddDate(0, 0, r.IntN(days)).Add(time.Duration(r.IntN(1e6)) * time.Second)}
			}
			ask(fmt.Sprintf("batch %d, query %d", i, k), q)
		}
	}
	for range 2 { // again, as it stays
		ask("at the end", store.Query{Resolution: store.Day, Zone: zones[1], From: day.AddDate(0, 0, 2), To: day.AddDate(0, 0, days+1)})
	}
}

// withCounters adds counters to samples, most of which count up.
func withCounters(r *rand.Rand, samples []wire.Sample, since time.Time) []wire.Sample {
	for i := range samples {
		s := &samples[i]
		kwh := 1000 + float64(s.Time.Sub(since)/time.Minute)/100
		s.Interval = time.Duration(r.IntN(2)*r.IntN(3600)) * time.Second
		switch r.IntN(12) {
		case 0: // not read
		case 1:
			s.PVTotalKWh = new(kwh * 3) // a wrong reading
		default:
			s.PVTotalKWh, s.ImportTotalKWh = new(kwh), new(kwh/3)
		}
	}
	return samples
}

// surroundingsDifference says in what two answers differ. What nobody can see of them is not compared: pointers to the same values.
func surroundingsDifference(a, b *store.Surroundings) string {
	if len(a.Periods) != len(b.Periods) {
		return fmt.Sprintf("%d periods, want %d", len(a.Periods), len(b.Periods))
	}
	if a.GreatestW != b.GreatestW {
		return fmt.Sprintf("the greatest power is %v, want %v", a.GreatestW, b.GreatestW)
	}
	same := func(what string, x, y *energy.Period) string {
		if !x.Start.Equal(y.Start) || !x.End.Equal(y.End) {
			return fmt.Sprintf("%s is from %v to %v, want %v to %v", what, x.Start, x.End, y.Start, y.End)
		}
		if !reflect.DeepEqual(&x.Rollup, &y.Rollup) {
			return fmt.Sprintf("%s from %v: %s\n%+v\n%+v", what, x.Start, RollupDifference(&x.Rollup, &y.Rollup), x.Rollup, y.Rollup)
		}
		return ""
	}
	for i := range a.Periods {
		if d := same(fmt.Sprint("period ", i), &a.Periods[i], &b.Periods[i]); d != "" {
			return d
		}
	}
	if d := same("before", &a.Before, &b.Before); d != "" {
		return d
	}
	return same("after", &a.After, &b.After)
}
