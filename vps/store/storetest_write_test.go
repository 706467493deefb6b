package store

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"sunspool/wire"
)

func firstWriteWins(t *testing.T, s Samples) {
	insert(t, s, "a", 1, at(noon, 1))
	insert(t, s, "a", 1, at(noon, 2), at(noon.Add(time.Millisecond), 3))
	insert(t, s, "a", 1, at(noon.Add(time.Hour), 4), at(noon.Add(time.Hour), 5), at(noon.Add(time.Hour+999*time.Microsecond), 6))
	if got := latest(t, s, "a").PVPowerW; got != 4 {
		t.Errorf("latest %v W, the first write was 4 W", got)
	}
	got := series(t, s, Query{Device: "a", Resolution: Hour})
	if len(got) != 2 || *got[0].MaxPVPowerW != 3 || got[0].SampleCount != 2 || *got[1].AvgPVPowerW != 4 {
		t.Errorf("series %s", dump(got))
	}
}

func twiceIsNormal(t *testing.T, s Samples) {
	batch := random(rand.New(rand.NewPCG(1, 1)), noon, 24*time.Hour, 200)
	insert(t, s, "a", 200, batch...)
	before := series(t, s, Query{Device: "a", Resolution: Quarter})
	insert(t, s, "a", 0, batch...)
	insert(t, s, "a", 0, batch[50:60]...)
	insert(t, s, "a", 0)
	if after := series(t, s, Query{Device: "a", Resolution: Quarter}); dump(after) != dump(before) {
		t.Errorf("a repetition changed the series from\n%s to\n%s", dump(before), dump(after))
	}
}

func sampleComesBackWhole(t *testing.T, s Samples) {
	want := at(noon.Add(123*time.Millisecond), 4317.5)
	for i, f := range wire.Fields[1:] {
		f.Set(&want, new(float64(i)*1.1-3))
	}
	want.Values = map[string]float64{"grid_frequency": 49.98, "a register of mine": 1.0 / 3}
	want.Count = 12
	insert(t, s, "a", 1, want)

	got := latest(t, s, "a")
	want.DeviceID = "a"
	if g, w := got.AppendPacked(nil), want.AppendPacked(nil); string(g) != string(w) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got.Time.Location() != time.UTC {
		t.Errorf("time in %v", got.Time.Location())
	}
}

func latestIsTheNewest(t *testing.T, s Samples) {
	insert(t, s, "a", 2, at(noon, 1), at(noon.Add(-time.Minute), 2))
	insert(t, s, "a", 1, at(noon.Add(-24*time.Hour), 3))
	if got := latest(t, s, "a"); got.PVPowerW != 1 || !got.Time.Equal(noon) {
		t.Errorf("latest %v", got)
	}
	insert(t, s, "a", 1, at(noon.Add(time.Millisecond), 4))
	if got := latest(t, s, "a"); got.PVPowerW != 4 {
		t.Errorf("latest %v", got)
	}
}

func writersOfOneDeviceLoseNothing(t *testing.T, s Samples) {
	all := random(rand.New(rand.NewPCG(5, 6)), noon, 6*time.Hour, 600)
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
	for _, resolution := range []Resolution{Quarter, Day} {
		q := Query{Device: "a", Resolution: resolution, Zone: time.UTC}
		if d := difference(series(t, s, q), recount(all, q)); d != "" {
			t.Error(d)
		}
	}
}

func devicesAreApart(t *testing.T, s Samples) {
	insert(t, s, "a", 1, at(noon, 1))
	insert(t, s, "ab", 1, wire.Sample{DeviceID: "a", Time: noon, PVPowerW: 2, Count: 1})
	for device, want := range map[string]float64{"a": 1, "ab": 2} {
		if got := latest(t, s, device); got.PVPowerW != want || got.DeviceID != device {
			t.Errorf("latest of %s: %+v", device, got)
		}
		if got := series(t, s, Query{Device: device, Resolution: Hour}); len(got) != 1 || *got[0].AvgPVPowerW != want {
			t.Errorf("series of %s: %s", device, dump(got))
		}
	}
}

func unknownDeviceHasNothing(t *testing.T, s Samples) {
	for range 2 { // then with a zone, which is not a sample
		if _, err := s.Latest(t.Context(), "a"); !errors.Is(err, ErrNone) {
			t.Errorf("latest: %v", err)
		}
		if got := series(t, s, Query{Device: "a", Resolution: Day}); len(got) != 0 {
			t.Errorf("series: %s", dump(got))
		}
		err := s.Each(t.Context(), "a", time.Time{}, time.Time{}, func(wire.Sample) bool { t.Error("a sample"); return true })
		none, around, err2 := s.Surrounded(t.Context(), Query{Device: "a", From: noon, To: noon.Add(time.Hour), Resolution: Hour})
		if err != nil || err2 != nil || len(none) > 0 || around.Before.Rows > 0 || around.After.Rows > 0 {
			t.Errorf("%v, %v; readings %v, %v", err, err2, none, around)
		}
		if err := s.Describe(t.Context(), "a", About{Zone: "Asia/Kathmandu"}); err != nil {
			t.Error(err)
		}
	}
}

func descriptionIsRemembered(t *testing.T, s Samples) {
	insert(t, s, "b", 1, at(noon, 1))
	insert(t, s, "b", 1, at(noon.Add(-time.Hour), 1))
	for _, about := range []About{
		{}, {Zone: "Europe/Brussels"}, {Zone: "Europe/Brussels"}, {Zone: "Asia/Kathmandu", Seen: noon},
		{Edge: &wire.Edge{Version: "1.2", Model: "SH10RT", PollIntervalS: 5, SpoolCount: 7, State: "all is well"}, Seen: noon.Add(time.Minute)},
		{Zone: "UTC"}, {Zone: "UTC", Earlier: []PastZone{{Zone: "Asia/Kathmandu", Until: noon}, {Zone: "Europe/Brussels", Until: noon.Add(time.Millisecond)}}},
		{Zone: "UTC", Earlier: []PastZone{{Zone: "Asia/Kathmandu", Until: noon.Add(time.Hour)}}}, {},
	} {
		if err := s.Describe(t.Context(), "a", about); err != nil {
			t.Fatal(err)
		}
		got, err := s.About(t.Context(), "a")
		other, err2 := s.About(t.Context(), "b")
		if !got.equal(about) || !other.equal(About{}) || err != nil || err2 != nil {
			t.Errorf("%+v and %+v, %v, %v; want %+v and nothing", got, other, err, err2, about)
		}
		all, err := s.Devices(t.Context())
		if err != nil || len(all) == 0 {
			t.Fatal(all, err)
		}
		last := all[len(all)-1]
		if last.ID != "b" || !last.First.Equal(noon.Add(-time.Hour)) || !last.Last.Equal(noon) {
			t.Errorf("device %+v", last)
		}
		if !about.equal(About{}) && (len(all) != 2 || all[0].ID != "a" || !all[0].About.equal(about) || !all[0].First.IsZero() || !all[0].Last.IsZero()) {
			t.Errorf("devices %+v", all)
		}
	}
}

func eachGivesTheSamplesInOrder(t *testing.T, s Samples) {
	all := random(rand.New(rand.NewPCG(13, 14)), noon, 50*time.Hour, 2500)
	insert(t, s, "a", len(all), all...)
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
		{noon.Add(-time.Hour), noon, 0, 0, 0},
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

func absurdSampleIsRefused(t *testing.T, s Samples) {
	for what, bad := range map[string]wire.Sample{
		"NaN":             at(noon, math.NaN()),
		"infinite value":  {Time: noon, Count: 1, Values: map[string]float64{"x": math.Inf(1)}},
		"1970":            at(time.UnixMilli(-1), 1),
		"weightless":      {Time: noon},
		"negative weight": {Time: noon, Count: -1},
	} {
		n, err := s.Insert(t.Context(), "a", []wire.Sample{at(noon, 1), bad})
		if _, ok := errors.AsType[*wire.Invalid](err); !ok || n != 0 {
			t.Errorf("%s: inserted %d, %v", what, n, err)
		}
	}
	if _, err := s.Insert(t.Context(), "", []wire.Sample{at(noon, 1)}); err == nil {
		t.Error("a device without a name was stored")
	}
	if _, err := s.Latest(t.Context(), "a"); !errors.Is(err, ErrNone) {
		t.Errorf("a part of a refused batch is stored: %v", err)
	}
}
