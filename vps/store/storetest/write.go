package storetest

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"sunspool/vps/store"
	"sunspool/wire"
)

func firstWriteWins(t *testing.T, s store.Samples) {
	Insert(t, s, "a", 1, At(Noon, 1))
	Insert(t, s, "a", 1, At(Noon, 2), At(Noon.Add(time.Millisecond), 3))
	Insert(t, s, "a", 1, At(Noon.Add(time.Hour), 4), At(Noon.Add(time.Hour), 5), At(Noon.Add(time.Hour+999*time.Microsecond), 6))
	if got := Latest(t, s, "a").PVPowerW; got != 4 {
		t.Errorf("latest %v W, the first write was 4 W", got)
	}
	got := Series(t, s, store.Query{Device: "a", Resolution: store.Hour})
	if len(got) != 2 || *got[0].MaxPVPowerW != 3 || got[0].SampleCount != 2 || *got[1].AvgPVPowerW != 4 {
		t.Errorf("series %s", Dump(got))
	}
}

func twiceIsNormal(t *testing.T, s store.Samples) {
	batch := Random(rand.New(rand.NewPCG(1, 1)), Noon, 24*time.Hour, 200)
	Insert(t, s, "a", 200, batch...)
	before := Series(t, s, store.Query{Device: "a", Resolution: store.Quarter})
	Insert(t, s, "a", 0, batch...)
	Insert(t, s, "a", 0, batch[50:60]...)
	Insert(t, s, "a", 0)
	if after := Series(t, s, store.Query{Device: "a", Resolution: store.Quarter}); Dump(after) != Dump(before) {
		t.Errorf("a repetition changed the series from\n%s to\n%s", Dump(before), Dump(after))
	}
}

func sampleComesBackWhole(t *testing.T, s store.Samples) {
	want := At(Noon.Add(123*time.Millisecond), 4317.5)
	for i, f := range wire.Fields[1:] {
		f.Set(&want, new(float64(i)*1.1-3))
	}
	want.Values = map[string]float64{"grid_frequency": 49.98, "a register of mine": 1.0 / 3}
	want.Count = 12
	Insert(t, s, "a", 1, want)

	got := Latest(t, s, "a")
	want.DeviceID = "a"
	if g, w := got.AppendPacked(nil), want.AppendPacked(nil); string(g) != string(w) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got.Time.Location() != time.UTC {
		t.Errorf("time in %v", got.Time.Location())
	}
}

func latestIsTheNewest(t *testing.T, s store.Samples) {
	Insert(t, s, "a", 2, At(Noon, 1), At(Noon.Add(-time.Minute), 2))
	Insert(t, s, "a", 1, At(Noon.Add(-24*time.Hour), 3))
	if got := Latest(t, s, "a"); got.PVPowerW != 1 || !got.Time.Equal(Noon) {
		t.Errorf("latest %v", got)
	}
	Insert(t, s, "a", 1, At(Noon.Add(time.Millisecond), 4))
	if got := Latest(t, s, "a"); got.PVPowerW != 4 {
		t.Errorf("latest %v", got)
	}
}

func writersOfOneDeviceLoseNothing(t *testing.T, s store.Samples) {
	all := Random(rand.New(rand.NewPCG(5, 6)), Noon, 6*time.Hour, 600)
	var wg sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for i := range 8 { // every sample is sent by four of them, in different orders
		wg.Go(func() {
			r := rand.New(rand.NewPCG(7, uint64(i)))
			mine := slices.Clone(all[(i%2)*300:][:300])
			r.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
			for batch := range slices.Chunk(mine, 1+r.IntN(40)) {
				n, err := s.Insert(t.Context(), "a", batch)
				if err != nil {
					t.Errorf("writer %d: %v", i, err)
				}
				mu.Lock()
				total += n
				mu.Unlock()
				if _, err := s.Latest(t.Context(), "a"); err != nil {
					t.Errorf("writer %d: latest: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	if total != len(all) {
		t.Errorf("%d new rows were announced, %d samples are different", total, len(all))
	}
	slices.SortFunc(all, func(a, b wire.Sample) int { return a.Time.Compare(b.Time) })
	for _, resolution := range []store.Resolution{store.Quarter, store.Day} {
		q := store.Query{Device: "a", Resolution: resolution, Zone: time.UTC}
		if d := difference(Series(t, s, q), recount(all, q)); d != "" {
			t.Error(d)
		}
	}
}

func devicesAreApart(t *testing.T, s store.Samples) {
	Insert(t, s, "a", 1, At(Noon, 1))
	Insert(t, s, "ab", 1, wire.Sample{DeviceID: "a", Time: Noon, PVPowerW: 2, Count: 1})
	for device, want := range map[string]float64{"a": 1, "ab": 2} {
		if got := Latest(t, s, device); got.PVPowerW != want || got.DeviceID != device {
			t.Errorf("latest of %s: %+v", device, got)
		}
		if got := Series(t, s, store.Query{Device: device, Resolution: store.Hour}); len(got) != 1 || *got[0].AvgPVPowerW != want {
			t.Errorf("series of %s: %s", device, Dump(got))
		}
	}
}

func unknownDeviceHasNothing(t *testing.T, s store.Samples) {
	for range 2 { // then with a zone, which is not a sample
		if _, err := s.Latest(t.Context(), "a"); !errors.Is(err, store.ErrNone) {
			t.Errorf("latest: %v", err)
		}
		if got := Series(t, s, store.Query{Device: "a", Resolution: store.Day}); len(got) != 0 {
			t.Errorf("series: %s", Dump(got))
		}
		err := s.Each(t.Context(), "a", time.Time{}, time.Time{}, func(wire.Sample) bool { t.Error("a sample"); return true })
		none, around, err2 := s.Surrounded(t.Context(), store.Query{Device: "a", From: Noon, To: Noon.Add(time.Hour), Resolution: store.Hour})
		if err != nil || err2 != nil || len(none) > 0 || around.Before.Rows > 0 || around.After.Rows > 0 {
			t.Errorf("%v, %v; readings %v, %v", err, err2, none, around)
		}
		if err := s.Describe(t.Context(), "a", store.About{Zone: "Asia/Kathmandu"}); err != nil {
			t.Error(err)
		}
	}
}

func descriptionIsRemembered(t *testing.T, s store.Samples) {
	Insert(t, s, "b", 1, At(Noon, 1))
	Insert(t, s, "b", 1, At(Noon.Add(-time.Hour), 1))
	for _, about := range []store.About{
		{}, {Zone: "Europe/Brussels"}, {Zone: "Europe/Brussels"}, {Zone: "Asia/Kathmandu", Seen: Noon},
		{Edge: &wire.Edge{Version: "1.2", Model: "SH10RT", Serial: "A23…001", Firmware: "ARM_V11", PollIntervalS: 5, SpoolCount: 7, State: "all is well"}, Seen: Noon.Add(time.Minute), SkewS: new(-0.4)},
		{Zone: "UTC"}, {Zone: "UTC", Earlier: []store.PastZone{{Zone: "Asia/Kathmandu", Until: Noon}, {Zone: "Europe/Brussels", Until: Noon.Add(time.Millisecond)}}},
		{Zone: "UTC", Earlier: []store.PastZone{{Zone: "Asia/Kathmandu", Until: Noon.Add(time.Hour)}}}, {},
	} {
		if err := s.Describe(t.Context(), "a", about); err != nil {
			t.Fatal(err)
		}
		got, err := s.About(t.Context(), "a")
		other, err2 := s.About(t.Context(), "b")
		if !got.Equal(about) || !other.Equal(store.About{}) || err != nil || err2 != nil {
			t.Errorf("%+v and %+v, %v, %v; want %+v and nothing", got, other, err, err2, about)
		}
		all, err := s.Devices(t.Context())
		if err != nil || len(all) == 0 {
			t.Fatal(all, err)
		}
		last := all[len(all)-1]
		if last.ID != "b" || !last.First.Equal(Noon.Add(-time.Hour)) || !last.Last.Equal(Noon) {
			t.Errorf("device %+v", last)
		}
		if !about.Equal(store.About{}) && (len(all) != 2 || all[0].ID != "a" || !all[0].About.Equal(about) || !all[0].First.IsZero() || !all[0].Last.IsZero()) {
			t.Errorf("devices %+v", all)
		}
	}
}

func eachGivesTheSamplesInOrder(t *testing.T, s store.Samples) {
	all := Random(rand.New(rand.NewPCG(13, 14)), Noon, 50*time.Hour, 2500)
	Insert(t, s, "a", len(all), all...)
	slices.SortFunc(all, func(a, b wire.Sample) int { return a.Time.Compare(b.Time) })
	for _, c := range []struct {
		from, to    time.Time
		first, last int // of all
		stop        int // after so many, 0 for never
	}{
		{time.Time{}, time.Time{}, 0, 2500, 0},
		{all[10].Time, all[2300].Time, 10, 2300, 0},
		{all[10].Time.Add(1), all[2300].Time.Add(1), 11, 2301, 0},
		{time.Time{}, time.Time{}, 0, 1500, 1500},
		{Noon.Add(-time.Hour), Noon, 0, 0, 0},
	} {
		var got []wire.Sample
		err := s.Each(t.Context(), "a", c.from, c.to, func(s wire.Sample) bool {
			got = append(got, s)
			return len(got) != c.stop
		})
		want := all[c.first:c.last]
		if err != nil || len(got) != len(want) {
			t.Fatalf("[%v, %v): %d samples, %v; want %d", c.from, c.to, len(got), err, len(want))
		}
		for i := range got {
			w := want[i]
			w.DeviceID = "a"
			if string(got[i].AppendPacked(nil)) != string(w.AppendPacked(nil)) {
				t.Fatalf("sample %d is %+v, want %+v", i, got[i], w)
			}
		}
	}
}

func absurdSampleIsRefused(t *testing.T, s store.Samples) {
	for what, bad := range map[string]wire.Sample{
		"NaN":             At(Noon, math.NaN()),
		"infinite value":  {Time: Noon, Count: 1, Values: map[string]float64{"x": math.Inf(1)}},
		"1970":            At(time.UnixMilli(-1), 1),
		"weightless":      {Time: Noon},
		"negative weight": {Time: Noon, Count: -1},
	} {
		n, err := s.Insert(t.Context(), "a", []wire.Sample{At(Noon, 1), bad})
		if _, ok := errors.AsType[*wire.Invalid](err); !ok || n != 0 {
			t.Errorf("%s: inserted %d, %v", what, n, err)
		}
	}
	if _, err := s.Insert(t.Context(), "", []wire.Sample{At(Noon, 1)}); err == nil {
		t.Error("a device without a name was stored")
	}
	if _, err := s.Latest(t.Context(), "a"); !errors.Is(err, store.ErrNone) {
		t.Errorf("a part of a refused batch is stored: %v", err)
	}
}
