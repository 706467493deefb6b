package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
	_ "time/tzdata"

	"sunspool/wire"
)

func TestBolt(t *testing.T) {
	testSamples(t, func(t *testing.T, dir string) Samples { return open(t, dir) })
}

func TestCachedBolt(t *testing.T) {
	testSamples(t, func(t *testing.T, dir string) Samples { return NewCached(open(t, dir), time.Hour) })
}

// testSamples is the contract of Samples as a test: every store passes it. Open opens the store that lives in dir, which
// has what an earlier one left there; the test closes it.
func testSamples(t *testing.T, open func(t *testing.T, dir string) Samples) {
	for _, c := range []struct {
		claim string
		test  func(*testing.T, Samples)
	}{
		{"FirstWriteWins", firstWriteWins},
		{"TwiceIsNormal", twiceIsNormal},
		{"SampleComesBackWhole", sampleComesBackWhole},
		{"LatestIsTheNewestHoweverLateTheRest", latestIsTheNewest},
		{"SeriesIsARecountInAnyOrderOfArrival", seriesIsARecount},
		{"SeriesHasOnlyWhatIsBetweenFromAndTo", seriesEdges},
		{"LateSampleIsInTheNextAnswer", lateSampleIsInTheNextAnswer},
		{"AverageIsWeightedAndNullIsNotZero", averageIsWeighted},
		{"HoursFollowTheLocalClock", hoursFollowTheLocalClock},
		{"WritersOfOneDeviceLoseNothing", writersOfOneDeviceLoseNothing},
		{"DevicesAreApart", devicesAreApart},
		{"UnknownDeviceHasNothing", unknownDeviceHasNothing},
		{"ZoneIsRemembered", zoneIsRemembered},
		{"AbsurdSampleIsRefusedWithItsBatch", absurdSampleIsRefused},
		{"EndedContextEndsTheCall", endedContextEndsTheCall},
	} {
		t.Run(c.claim, func(t *testing.T) {
			t.Parallel()
			s := open(t, t.TempDir())
			t.Cleanup(func() { s.Close() })
			c.test(t, s)
		})
	}
	t.Run("SurvivesReopening", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		survivesReopening(t, func() Samples { return open(t, dir) })
	})
	t.Run("ClosedStoreAnswersErrors", func(t *testing.T) {
		t.Parallel()
		closedStoreAnswersErrors(t, open(t, t.TempDir()))
	})
}

var noon = time.Date(2026, 7, 14, 12, 0, 0, 0, time.UTC)

func at(t time.Time, pv float64) wire.Sample { return wire.Sample{Time: t, PVPowerW: pv, Count: 1} }

func insert(t *testing.T, s Samples, device string, want int, samples ...wire.Sample) {
	t.Helper()
	if n, err := s.Insert(t.Context(), device, samples); err != nil || n != want {
		t.Fatalf("inserted %d of %d samples, %v; want %d", n, len(samples), err, want)
	}
}

func latest(t *testing.T, s Samples, device string) wire.Sample {
	t.Helper()
	got, err := s.Latest(t.Context(), device)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func series(t *testing.T, s Samples, q Query) []wire.Bucket {
	t.Helper()
	got, err := s.Series(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func firstWriteWins(t *testing.T, s Samples) {
	insert(t, s, "a", 1, at(noon, 1))
	insert(t, s, "a", 1, at(noon, 2), at(noon.Add(time.Millisecond), 3))
	insert(t, s, "a", 1, at(noon.Add(time.Hour), 4), at(noon.Add(time.Hour), 5), at(noon.Add(time.Hour+999*time.Microsecond), 6))
	if got := latest(t, s, "a").PVPowerW; got != 4 {
		t.Errorf("latest %v W, the first write was 4 W", got)
	}
	got := series(t, s, Query{Device: "a", Resolution: Hour})
	if len(got) != 2 || *got[0].MaxPVPowerW != 3 || *got[0].AvgPVPowerW != 2 || *got[1].AvgPVPowerW != 4 {
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

var zones = []string{"UTC", "Europe/Brussels", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe", "Africa/Cairo", "America/Santiago"}

// The days on which clocks are changed are in the year of the test: at night in Brussels, by half an hour on Lord Howe,
// and so that there is no midnight in Cairo and Santiago.
func seriesIsARecount(t *testing.T, s Samples) {
	r := rand.New(rand.NewPCG(2, 3))
	var all []wire.Sample
	for _, change := range []string{"03-29", "10-25", "04-04", "10-03", "04-24", "10-29", "09-06", "04-05"} {
		day, err := time.Parse(time.DateOnly, "2026-"+change)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, random(r, day.Add(-30*time.Hour), 80*time.Hour, 150)...)
	}
	all = append(all, random(r, time.Date(2025, 11, 20, 0, 0, 0, 0, time.UTC), 400*24*time.Hour, 500)...)
	byTime := slices.SortedFunc(slices.Values(all), func(a, b wire.Sample) int { return a.Time.Compare(b.Time) })
	reversed := slices.Clone(byTime)
	slices.Reverse(reversed)

	arrivals := map[string][]wire.Sample{"in-order": byTime, "reversed": reversed, "random": all}
	for device, samples := range arrivals {
		for batch := range slices.Chunk(samples, 97) {
			insert(t, s, device, len(batch), batch...)
		}
	}
	first := byTime[0].Time
	for _, name := range zones {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, resolution := range []Resolution{Quarter, Hour, Day, Month} {
			for i := range 8 {
				q := Query{Resolution: resolution, Zone: zone}
				if i > 0 {
					q.From = first.Add(time.Duration(r.Int64N(int64(400 * 24 * time.Hour)))).Truncate(time.Microsecond)
					q.To = q.From.Add(time.Duration(r.Int64N(int64(200 * 24 * time.Hour))))
				}
				want := recount(byTime, q)
				for device := range arrivals {
					q.Device = device
					if d := difference(series(t, s, q), want); d != "" {
						t.Fatalf("%s, %s in %s from %v to %v: %s", device, resolution, name, q.From, q.To, d)
					}
				}
			}
		}
	}
}

func seriesEdges(t *testing.T, s Samples) {
	for i := range 60 {
		insert(t, s, "a", 1, at(noon.Add(time.Duration(i)*time.Minute), float64(i)))
	}
	minute := func(m float64) time.Time { return noon.Add(time.Duration(m * float64(time.Minute))) }
	for _, c := range []struct {
		from, to time.Time
		counts   []int // per quarter
	}{
		{minute(0), minute(60), []int{15, 15, 15, 15}},
		{minute(0), minute(15), []int{15}},
		{minute(0), minute(15).Add(time.Nanosecond), []int{15, 1}},
		{minute(1), minute(59), []int{14, 15, 15, 14}},
		{minute(7), minute(8), []int{1}},
		{minute(7).Add(time.Nanosecond), minute(8), nil},
		{minute(14), minute(16), []int{1, 1}},
		{minute(20), minute(20), nil},
		{minute(30), minute(20), nil},
		{minute(60), minute(600), nil},
		{time.Time{}, time.Time{}, []int{15, 15, 15, 15}},
		{time.Time{}, minute(16), []int{15, 1}},
		{minute(44), time.Time{}, []int{1, 15}},
		{time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(290_000, 1, 1, 0, 0, 0, 0, time.UTC), []int{15, 15, 15, 15}},
	} {
		var counts []int
		for _, b := range series(t, s, Query{Device: "a", From: c.from, To: c.to, Resolution: Quarter}) {
			counts = append(counts, b.SampleCount)
			if b.Start.Minute()%15 != 0 || b.Start.Second() != 0 || b.Start.Location() != time.UTC {
				t.Errorf("a quarter starts at %v", b.Start)
			}
		}
		if !slices.Equal(counts, c.counts) {
			t.Errorf("[%v, %v): %v samples, want %v", c.from, c.to, counts, c.counts)
		}
	}
	if _, err := s.Series(t.Context(), Query{Device: "a", Resolution: "week"}); err == nil {
		t.Error("a resolution of a week gave no error")
	}
}

func lateSampleIsInTheNextAnswer(t *testing.T, s Samples) {
	q := Query{Device: "a", Resolution: Month}
	insert(t, s, "a", 1, at(noon, 100))
	for i := range 40 {
		insert(t, s, "a", 1, at(noon.Add(time.Duration(-i-1)*11*time.Hour), 100+float64(i)))
		n := 0
		for _, b := range series(t, s, q) {
			n += b.SampleCount
		}
		if n != i+2 {
			t.Fatalf("%d samples in the series, %d were inserted", n, i+2)
		}
	}
}

func averageIsWeighted(t *testing.T, s Samples) {
	insert(t, s, "a", 3,
		wire.Sample{Time: noon, PVPowerW: 100, Count: 3, BatteryPowerW: new(-500.0)},
		wire.Sample{Time: noon.Add(time.Minute), PVPowerW: 500, Count: 1, BatteryPowerW: nil, LoadPowerW: new(0.0)},
		wire.Sample{Time: noon.Add(time.Hour), PVPowerW: -7, Count: 2},
	)
	got := series(t, s, Query{Device: "a", Resolution: Day})
	if len(got) != 1 {
		t.Fatalf("series %s", dump(got))
	}
	want := wire.Bucket{
		Start: noon.Truncate(24 * time.Hour), AvgPVPowerW: new((3*100 + 500 - 2*7.0) / 6), MaxPVPowerW: new(500.0),
		AvgBatteryPowerW: new(-500.0), AvgLoadPowerW: new(0.0), SampleCount: 6,
	}
	if d := difference(got, []wire.Bucket{want}); d != "" {
		t.Error(d)
	}
	got = series(t, s, Query{Device: "a", From: noon.Add(time.Hour), Resolution: Quarter})
	if len(got) != 1 || *got[0].MaxPVPowerW != -7 {
		t.Errorf("the maximum of a negative value is %s", dump(got))
	}
}

func hoursFollowTheLocalClock(t *testing.T, s Samples) {
	for i := range 60 * 4 {
		insert(t, s, "a", 2,
			at(time.Date(2026, 3, 28, 22, 15*i, 0, 0, time.UTC), 1), at(time.Date(2026, 10, 24, 21, 15*i, 0, 0, time.UTC), 1))
	}
	for _, c := range []struct {
		zone       string
		y, m, d    int
		hours      int
		start, end string // of the day, UTC
	}{
		{"Europe/Brussels", 2026, 3, 29, 23, "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"},
		{"Europe/Brussels", 2026, 10, 25, 25, "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"},
		{"Europe/Brussels", 2026, 10, 26, 24, "2026-10-25T23:00:00Z", "2026-10-26T23:00:00Z"},
		{"Asia/Kathmandu", 2026, 3, 30, 24, "2026-03-29T18:15:00Z", "2026-03-30T18:15:00Z"},
		{"America/St_Johns", 2026, 3, 29, 24, "2026-03-29T02:30:00Z", "2026-03-30T02:30:00Z"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		from := time.Date(c.y, time.Month(c.m), c.d, 0, 0, 0, 0, zone)
		q := Query{Device: "a", From: from, To: from.AddDate(0, 0, 1), Zone: zone, Resolution: Hour}
		hours := series(t, s, q)
		q.Resolution = Day
		days := series(t, s, q)
		if len(hours) != c.hours || len(days) != 1 {
			t.Errorf("%v: %d hours in %d days, want %d in one", from, len(hours), len(days), c.hours)
			continue
		}
		if days[0].SampleCount != 4*c.hours {
			t.Errorf("%v: %d samples, want %d", from, days[0].SampleCount, 4*c.hours)
		}
		end := q.To.UTC().Format(time.RFC3339)
		if start := days[0].Start.Format(time.RFC3339); start != c.start || end != c.end || !hours[0].Start.Equal(days[0].Start) {
			t.Errorf("%v: from %s to %s, want %s to %s", from, start, end, c.start, c.end)
		}
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
		if err := s.SetZone(t.Context(), "a", "Asia/Kathmandu"); err != nil {
			t.Error(err)
		}
	}
}

func zoneIsRemembered(t *testing.T, s Samples) {
	insert(t, s, "b", 1, at(noon, 1))
	for _, zone := range []string{"", "Europe/Brussels", "Europe/Brussels", "Asia/Kathmandu", ""} {
		if err := s.SetZone(t.Context(), "a", zone); err != nil {
			t.Fatal(err)
		}
		got, err := s.Zone(t.Context(), "a")
		other, err2 := s.Zone(t.Context(), "b")
		if got != zone || other != "" || err != nil || err2 != nil {
			t.Errorf("zones %q and %q, %v, %v; want %q and none", got, other, err, err2, zone)
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

// calls is every method, for what all of them have in common.
func calls(s Samples) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Insert": func(ctx context.Context) error {
			_, err := s.Insert(ctx, "a", []wire.Sample{at(noon.Add(time.Second), 1)})
			return err
		},
		"Latest": func(ctx context.Context) error { _, err := s.Latest(ctx, "a"); return err },
		"Series": func(ctx context.Context) error {
			_, err := s.Series(ctx, Query{Device: "a", Resolution: Day})
			return err
		},
		"SetZone": func(ctx context.Context) error { return s.SetZone(ctx, "a", "Asia/Kathmandu") },
		"Zone":    func(ctx context.Context) error { _, err := s.Zone(ctx, "a"); return err },
	}
}

func endedContextEndsTheCall(t *testing.T, s Samples) {
	insert(t, s, "a", 1, at(noon, 1))
	latest(t, s, "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range calls(s) {
		if err := call(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func closedStoreAnswersErrors(t *testing.T, s Samples) {
	insert(t, s, "a", 1, at(noon, 1))
	latest(t, s, "a")
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for name, call := range calls(s) {
		if err := call(t.Context()); !errors.Is(err, ErrClosed) || !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func survivesReopening(t *testing.T, open func() Samples) {
	s := open()
	all := random(rand.New(rand.NewPCG(8, 9)), noon, 48*time.Hour, 300)
	insert(t, s, "a", 300, all...)
	if err := s.SetZone(t.Context(), "a", "Europe/Brussels"); err != nil {
		t.Fatal(err)
	}
	want, newest := series(t, s, Query{Device: "a", Resolution: Hour}), latest(t, s, "a")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open()
	defer s.Close()
	if got := series(t, s, Query{Device: "a", Resolution: Hour}); dump(got) != dump(want) {
		t.Errorf("series\n%s, was\n%s", dump(got), dump(want))
	}
	if got := latest(t, s, "a"); string(got.AppendPacked(nil)) != string(newest.AppendPacked(nil)) {
		t.Errorf("latest %+v, was %+v", got, newest)
	}
	if zone, err := s.Zone(t.Context(), "a"); zone != "Europe/Brussels" || err != nil {
		t.Errorf("zone %q, %v", zone, err)
	}
	insert(t, s, "a", 0, all...)
}

// random returns n samples at different times in [from, from+span), in no order, some values absent.
func random(r *rand.Rand, from time.Time, span time.Duration, n int) []wire.Sample {
	times := map[int64]bool{}
	for len(times) < n {
		times[from.UnixMilli()+r.Int64N(span.Milliseconds())] = true
	}
	samples := make([]wire.Sample, 0, n)
	for _, ms := range slices.Sorted(maps.Keys(times)) {
		s := wire.Sample{Time: time.UnixMilli(ms).UTC(), PVPowerW: float64(r.IntN(50_000)) / 10, Count: 1 + r.IntN(3)*r.IntN(20)}
		for _, f := range wire.Fields[1:] {
			if r.IntN(4) > 0 {
				f.Set(&s, new(float64(r.IntN(100_000)-50_000)/10))
			}
		}
		samples = append(samples, s)
	}
	r.Shuffle(n, func(i, j int) { samples[i], samples[j] = samples[j], samples[i] })
	return samples
}

// recount computes a series from samples in ascending order the slow and plain way: by what the clock on the wall shows
// at each of them.
func recount(samples []wire.Sample, q Query) (buckets []wire.Bucket) {
	type sums struct{ sum, weight [5]float64 }
	var s *sums
	var shown string
	for i := range samples {
		sample := &samples[i]
		if sample.Time.Before(q.From) || !q.To.IsZero() && !sample.Time.Before(q.To) {
			continue
		}
		now, start := onTheWall(sample.Time, q)
		if now != shown {
			shown, s = now, &sums{}
			buckets = append(buckets, wire.Bucket{Start: start, MaxPVPowerW: new(math.Inf(-1))})
		}
		b, weight := &buckets[len(buckets)-1], float64(sample.Count)
		*b.MaxPVPowerW = max(*b.MaxPVPowerW, sample.PVPowerW)
		b.SampleCount += sample.Count
		averages := [5]**float64{&b.AvgPVPowerW, &b.AvgBatteryPowerW, &b.AvgBatterySOCPct, &b.AvgLoadPowerW, &b.AvgExportPowerW}
		for i, v := range [5]*float64{&sample.PVPowerW, sample.BatteryPowerW, sample.BatterySOCPct, sample.LoadPowerW, sample.ExportPowerW} {
			if v != nil {
				s.sum[i] += *v * weight
				s.weight[i] += weight
				*averages[i] = new(s.sum[i] / s.weight[i])
			}
		}
	}
	return buckets
}

// onTheWall returns what a clock that has only the digits of the resolution shows at t, and when it began to.
func onTheWall(t time.Time, q Query) (digits string, since time.Time) {
	layout := map[Resolution]string{Hour: "2006-01-02 15 -0700", Day: "2006-01-02", Month: "2006-01"}[q.Resolution]
	show := func(t time.Time) string {
		if q.Resolution == Quarter {
			return fmt.Sprint(t.Unix() / 900)
		}
		return t.In(q.Zone).Format(layout)
	}
	digits, since = show(t), t.Truncate(15*time.Minute)
	for step := 31 * 24 * time.Hour; step >= 15*time.Minute; step /= 2 { // no step jumps over another period and back
		step = max(step.Truncate(15*time.Minute), 15*time.Minute)
		for show(since.Add(-step)) == digits {
			since = since.Add(-step)
		}
	}
	return digits, since
}

// difference describes the first one between two series; averages may differ by the rounding of their sums.
func difference(got, want []wire.Bucket) string {
	same := func(a, b *float64) bool {
		return a == nil && b == nil || a != nil && b != nil && math.Abs(*a-*b) < 1e-6
	}
	for i := range min(len(got), len(want)) {
		g, w := got[i], want[i]
		if !g.Start.Equal(w.Start) || g.SampleCount != w.SampleCount || *g.MaxPVPowerW != *w.MaxPVPowerW ||
			!same(g.AvgPVPowerW, w.AvgPVPowerW) || !same(g.AvgBatteryPowerW, w.AvgBatteryPowerW) ||
			!same(g.AvgBatterySOCPct, w.AvgBatterySOCPct) || !same(g.AvgLoadPowerW, w.AvgLoadPowerW) ||
			!same(g.AvgExportPowerW, w.AvgExportPowerW) {
			return fmt.Sprintf("bucket %d is\n%s, want\n%s", i, dump(got[i:i+1]), dump(want[i:i+1]))
		}
	}
	if len(got) != len(want) {
		return fmt.Sprintf("%d buckets, want %d", len(got), len(want))
	}
	return ""
}

func dump(buckets []wire.Bucket) (s string) {
	show := func(v *float64) string {
		if v == nil {
			return "null"
		}
		return fmt.Sprint(*v)
	}
	for _, b := range buckets {
		s += fmt.Sprintf("%s: pv %s, max %s, battery %s, soc %s, load %s, export %s, %d samples\n", b.Start.UTC().Format(time.RFC3339Nano),
			show(b.AvgPVPowerW), show(b.MaxPVPowerW), show(b.AvgBatteryPowerW), show(b.AvgBatterySOCPct), show(b.AvgLoadPowerW),
			show(b.AvgExportPowerW), b.SampleCount)
	}
	return s
}
