package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"
	_ "time/tzdata"

	"sunspool/vps/energy"
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
		{"MeanIsOverTimeAndNullIsNotZero", meanIsOverTime},
		{"HoursFollowTheLocalClock", hoursFollowTheLocalClock},
		{"WritersOfOneDeviceLoseNothing", writersOfOneDeviceLoseNothing},
		{"DevicesAreApart", devicesAreApart},
		{"UnknownDeviceHasNothing", unknownDeviceHasNothing},
		{"DescriptionIsRemembered", descriptionIsRemembered},
		{"PeriodsAreARecount", periodsAreARecount},
		{"EachGivesTheSamplesInOrder", eachGivesTheSamplesInOrder},
		{"CountersAreLookedForAround", countersAreLookedForAround},
		{"PruningKeepsWhatIsAround", pruningKeepsWhatIsAround},
		{"IntervalStaysWithItsSample", intervalStaysWithItsSample},
		{"IntervalIsInRollups", intervalIsInRollups},
		{"PruningKeepsWhatRollupsSay", pruningKeepsWhatRollupsSay},
		{"GreatestPowerIsOfAllSamplesStored", greatestPowerIsOfAllSamplesStored},
		{"PruningKeepsTheGreatestPower", pruningKeepsTheGreatestPower},
		{"CheckIsNoSample", checkIsNoSample},
		{"WhatIsSetAsideIsKeptOnce", setAsideOnce},
		{"WhatIsSetAsideIsNoSample", setAsideIsNoSample},
		{"WhatIsSetAsideIsDeletedUpToANumber", asideIsDeletedUpToANumber},
		{"WhatIsSetAsideIsBounded", asideIsBounded},
		{"AbsurdSampleIsRefusedWithItsBatch", absurdSampleIsRefused},
		{"EndedContextEndsTheCall", endedContextEndsTheCall},
		{"FiveMinutesHaveRoomForSoMany", fiveMinutesHaveRoomForSoMany},
		{"PrunedFiveMinutesHaveRoomForSoMany", prunedFiveMinutesHaveRoomForSoMany},
		{"ManyMayNotFillFiveMinutesTogether", func(t *testing.T, s Samples) { manyMayNotFillFiveMinutesTogether(t, s) }},
		{"LateSamplesOfManySpansAreInTheNextAnswer", lateSamplesOfManySpansAreInTheNextAnswer},
		{"InsertCostsByWhatItAdds", insertCostsByWhatItAdds},
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
	periods, err := s.Periods(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var buckets []wire.Bucket
	for i := range periods {
		if periods[i].Rows > 0 {
			buckets = append(buckets, periods[i].Bucket())
		}
	}
	return buckets
}

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
	if _, err := s.Periods(t.Context(), Query{Device: "a", Resolution: "week"}); err == nil {
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

func meanIsOverTime(t *testing.T, s Samples) {
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
		Start: noon.Truncate(24 * time.Hour), AvgPVPowerW: new((100*75 + 500*45 + 0*10) / 130.0), MaxPVPowerW: new(500.0),
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
		{Zone: "UTC"}, {Zone: "UTC", Earlier: []PastZone{{"Asia/Kathmandu", noon}, {"Europe/Brussels", noon.Add(time.Millisecond)}}},
		{Zone: "UTC", Earlier: []PastZone{{"Asia/Kathmandu", noon.Add(time.Hour)}}}, {},
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

// The rollups themselves, with energy and counters, are what the samples alone give.
func periodsAreARecount(t *testing.T, s Samples) {
	r := rand.New(rand.NewPCG(11, 12))
	all := random(r, noon, 100*time.Hour, 2500)
	all = append(all, random(r, noon.Add(200*time.Hour), 2*time.Hour, 1000)...)
	for batch := range slices.Chunk(all, 93) {
		insert(t, s, "a", len(batch), batch...)
	}
	slices.SortFunc(all, func(a, b wire.Sample) int { return a.Time.Compare(b.Time) })
	zone, err := time.LoadLocation("Asia/Kathmandu")
	if err != nil {
		t.Fatal(err)
	}
	for _, resolution := range []Resolution{Minute, FiveMinutes, Quarter, Hour, Day, Month, Year} {
		for i := range 5 {
			q := Query{Device: "a", Resolution: resolution, Zone: zone}
			if i > 0 {
				q.From = noon.Add(time.Duration(r.Int64N(int64(100 * time.Hour)))).Truncate(time.Millisecond)
				q.To = q.From.Add(time.Duration(r.Int64N(int64(140 * time.Hour)))).Truncate(time.Millisecond)
			}
			got, err := s.Periods(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			want := recountPeriods(all, q)
			if len(got) != len(want) {
				t.Fatalf("%s: %d periods, want %d", resolution, len(got), len(want))
			}
			for i := range got {
				if d := rollupDifference(&got[i].Rollup, &want[i].Rollup); d != "" || !got[i].Start.Equal(want[i].Start) || !got[i].End.Equal(want[i].End) {
					t.Fatalf("%s from %v to %v: period %d from %v: %s", resolution, q.From, q.To, i, want[i].Start, d)
				}
			}
		}
	}
}

// recountPeriods makes periods of samples in ascending order with no rollups of hours and days in between.
func recountPeriods(samples []wire.Sample, q Query) (periods []energy.Period) {
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	if !q.From.IsZero() {
		from = ceil(q.From)
	}
	if !q.To.IsZero() {
		to = ceil(q.To)
	}
	var outside energy.Rollup
	line := energy.Line{Account: func(at int64) (*energy.Rollup, int64) {
		switch {
		case at < from:
			return &outside, from
		case at >= to:
			return &outside, math.MaxInt64
		}
		start, end := q.Resolution.Period(fromMS(at), q.Zone)
		if n := len(periods); n == 0 || !periods[n-1].Start.Equal(start) {
			periods = append(periods, energy.Period{Start: start, End: end})
		}
		return &periods[len(periods)-1].Rollup, min(end.UnixMilli(), to)
	}}
	for len(samples) > 0 {
		first := samples[0].Time.UnixMilli()
		until := spanOf(baseLevel, first) + spans[baseLevel]
		if first >= from && first < to {
			_, end := q.Resolution.Period(samples[0].Time, q.Zone)
			until = min(end.UnixMilli(), until)
		}
		for _, border := range []int64{from, to} {
			if border > first {
				until = min(until, border)
			}
		}
		var part energy.Rollup
		for len(samples) > 0 && samples[0].Time.UnixMilli() < until {
			part.Add(&samples[0])
			samples = samples[1:]
		}
		line.AddBase(&part)
	}
	line.End()
	return periods
}

// rollupDifference names a field in which two rollups differ by more than the rounding of sums.
func rollupDifference(a, b *energy.Rollup) string {
	var differ func(path string, x, y reflect.Value) string
	differ = func(path string, x, y reflect.Value) string {
		switch x.Kind() {
		case reflect.Struct:
			if x.Type() == reflect.TypeFor[energy.Counter]() {
				return "" // of random readings
			}
			for i := range x.NumField() {
				if d := differ(path+"."+x.Type().Field(i).Name, x.Field(i), y.Field(i)); d != "" {
					return d
				}
			}
		case reflect.Array:
			for i := range x.Len() {
				if d := differ(fmt.Sprintf("%s[%d]", path, i), x.Index(i), y.Index(i)); d != "" {
					return d
				}
			}
		case reflect.Float64:
			if x, y := x.Float(), y.Float(); math.Abs(x-y) > 1e-9*max(1, math.Abs(x), math.Abs(y)) {
				return fmt.Sprintf("%s is %v, want %v", path, x, y)
			}
		case reflect.Int64:
			if x.Int() != y.Int() {
				return fmt.Sprintf("%s is %v, want %v", path, x.Int(), y.Int())
			}
		case reflect.Bool:
			if x.Bool() != y.Bool() {
				return fmt.Sprintf("%s is %v, want %v", path, x.Bool(), y.Bool())
			}
		case reflect.Pointer:
			if x.IsNil() || y.IsNil() {
				if !x.IsNil() || !y.IsNil() {
					return path + " is known in one only"
				}
				return ""
			}
			return differ(path, x.Elem(), y.Elem())
		case reflect.Slice: // what is in doubt of a counter depends on what it is compared with
		default:
			panic(path)
		}
		return ""
	}
	return differ("", reflect.ValueOf(*a), reflect.ValueOf(*b))
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

// A counter is looked for across any hole, and where it did not rise for days.
func countersAreLookedForAround(t *testing.T, s Samples) {
	with := func(t time.Time, pv, imported float64) wire.Sample {
		s := at(t, 1)
		s.PVTotalKWh = &pv
		if imported > 0 {
			s.ImportTotalKWh = &imported
		}
		return s
	}
	insert(t, s, "a", 5,
		with(noon, 100, 10), with(noon.Add(time.Minute), 100.1, 0), with(noon.Add(2*time.Minute), 100.2, 0),
		with(noon.Add(20*24*time.Hour), 200, 0), with(noon.Add(20*24*time.Hour+10*time.Minute), 200.1, 20))
	for _, c := range []struct {
		at                        time.Time
		before, after             float64 // of the PV counter, 0 for none
		beforeImport, afterImport float64
	}{
		{noon.Add(-time.Hour), 0, 100, 0, 10},
		{noon, 0, 100, 0, 10},
		{noon.Add(time.Millisecond), 100, 100.1, 10, 20},
		{noon.Add(90 * time.Second), 100.1, 100.2, 10, 20},
		{noon.Add(2*time.Minute + 1), 100.2, 200, 10, 20},
		{noon.Add(10 * 24 * time.Hour), 100.2, 200, 10, 20},
		{noon.Add(20*24*time.Hour + time.Second), 200, 200.1, 10, 20},
	} {
		inside, around, err := s.Surrounded(t.Context(), Query{Device: "a", From: c.at, To: c.at.Add(time.Millisecond), Resolution: Minute})
		after := &around.After.Rollup
		if len(inside) > 0 && inside[0].Rows > 0 {
			after = &inside[0].Rollup
		}
		before := around.Before.Counters
		if err != nil || before[energy.PVTotal].High != c.before || after.Counters[energy.PVTotal].Low != c.after ||
			before[energy.ImportTotal].High != c.beforeImport || after.Counters[energy.ImportTotal].Low != c.afterImport {
			t.Errorf("around %v: %+v and %+v, %v; want %+v", c.at, before, after.Counters, err, c)
		}
	}
}

func pruningKeepsWhatIsAround(t *testing.T, s Samples) {
	var all []wire.Sample
	for i := range 90 {
		sample := at(noon.Add(time.Duration(i)*time.Minute), 1)
		sample.PVTotalKWh = new(100 + float64(i)/10)
		all = append(all, sample)
	}
	insert(t, s, "a", len(all), all...)
	ask := func(at time.Time) (packed []byte) {
		t.Helper()
		periods, around, err := s.Surrounded(t.Context(), Query{Device: "a", From: at, To: at.Add(time.Hour), Resolution: Hour})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range append(periods, around.Before, around.After) {
			packed = p.Append(packed)
		}
		return packed
	}
	borders := []time.Time{noon, noon.Add(energy.Base), noon.Add(time.Hour)}
	var want [][]byte
	for _, b := range borders {
		want = append(want, ask(b))
	}
	for deleted := int64(1); deleted > 0; {
		var err error
		if deleted, err = s.Prune(t.Context(), noon.Add(80*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	for i, b := range borders {
		if got := ask(b); !bytes.Equal(got, want[i]) {
			t.Errorf("around %v something else is known", b)
		}
	}
}

func pruningKeepsWhatRollupsSay(t *testing.T, s Samples) {
	all := random(rand.New(rand.NewPCG(15, 16)), noon, 30*time.Hour, 3000)
	insert(t, s, "a", 3000, all...)
	insert(t, s, "b", 1, at(noon, 1))
	q := Query{Device: "a", Resolution: FiveMinutes}
	want, err := s.Periods(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	newest := latest(t, s, "a")
	cut := noon.Add(20*time.Hour + 2*time.Minute)
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
	compare := func(when string, q Query, want []energy.Period) {
		t.Helper()
		got, err := s.Periods(t.Context(), q)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: %d periods, %v; want %d", when, len(got), err, len(want))
		}
		for i := range got {
			if d := rollupDifference(&got[i].Rollup, &want[i].Rollup); d != "" {
				t.Fatalf("%s: period %d: %s", when, i, d)
			}
		}
	}
	compare("after pruning", q, want)
	insert(t, s, "a", 0, all...) // an edge that sends again what was acknowledged long ago
	compare("after a repetition", q, want)

	// Late samples: before and after those that are gone, and where there never was one.
	for want[0].Rows == 0 {
		want = want[1:] // the first sample speaks into it
	}
	first := fromMS(want[0].Rollup.First)
	start, end := first.Truncate(energy.Base), first.Truncate(energy.Base).Add(energy.Base-1)
	hole := noon.Add(-40 * time.Hour)
	late := []wire.Sample{at(start, 7), at(end, 7), at(hole, 7), at(hole.Add(time.Minute), 7)}
	if start.Equal(first) {
		t.Fatal("the first sample is at the very start")
	}
	insert(t, s, "a", 4, late...)
	insert(t, s, "a", 0, late...)
	got, err := s.Periods(t.Context(), q)
	got = slices.DeleteFunc(got, func(p energy.Period) bool { return p.Rows == 0 })
	want = slices.DeleteFunc(want, func(p energy.Period) bool { return p.Rows == 0 })
	if err != nil || len(got) != len(want)+1 || got[0].Rows != 2 || got[1].Rows != want[0].Rows+2 {
		t.Errorf("late samples: %d periods, %v, %d and %d rows; want %d, 2 and %d", len(got), err, got[0].Rows, got[1].Rows, len(want)+1, want[0].Rows+2)
	}
	hours, days := rows(t, s, Hour), rows(t, s, Day)
	if hours != 3004 || days != 3004 {
		t.Errorf("%d rows by hours, %d by days, want 3004", hours, days)
	}

	if _, err := s.Prune(t.Context(), noon.AddDate(1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if got := latest(t, s, "a"); !got.Time.Equal(newest.Time) {
		t.Errorf("the newest sample is of %v, was of %v", got.Time, newest.Time)
	}
	if got := latest(t, s, "b"); !got.Time.Equal(noon) {
		t.Errorf("the only sample of a device is gone")
	}
}

func rows(t *testing.T, s Samples, r Resolution) (n int64) {
	t.Helper()
	periods, err := s.Periods(t.Context(), Query{Device: "a", Resolution: r})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range periods {
		n += p.Rows
	}
	return n
}

func checkIsNoSample(t *testing.T, s Samples) {
	for range 2 {
		if err := s.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := s.Devices(t.Context()); len(all) != 0 || err != nil {
		t.Errorf("devices %v, %v", all, err)
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
		"Periods": func(ctx context.Context) error {
			_, err := s.Periods(ctx, Query{Device: "a", Resolution: Day})
			return err
		},
		"Each": func(ctx context.Context) error {
			return s.Each(ctx, "a", time.Time{}, time.Time{}, func(wire.Sample) bool { return true })
		},
		"Surrounded": func(ctx context.Context) error {
			_, _, err := s.Surrounded(ctx, Query{Device: "a", Resolution: Day})
			return err
		},
		"Describe":  func(ctx context.Context) error { return s.Describe(ctx, "a", About{Zone: "Asia/Kathmandu"}) },
		"About":     func(ctx context.Context) error { _, err := s.About(ctx, "a"); return err },
		"Devices":   func(ctx context.Context) error { _, err := s.Devices(ctx); return err },
		"Prune":     func(ctx context.Context) error { _, err := s.Prune(ctx, noon); return err },
		"SetAside":  func(ctx context.Context) error { _, err := s.SetAside(ctx, "a", asides(0, 1)); return err },
		"Aside":     func(ctx context.Context) error { _, err := s.Aside(ctx, "a", 0, 1); return err },
		"Delete":    func(ctx context.Context) error { _, err := s.DeleteAside(ctx, "a", 1); return err },
		"Check":     func(ctx context.Context) error { return s.Check(ctx) },
		"GreatestW": func(ctx context.Context) error { _, err := s.GreatestW(ctx, "a"); return err },
		"Recount":   func(ctx context.Context) error { _, err := s.Recount(ctx); return err },
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
	if err := s.Describe(t.Context(), "a", About{Zone: "Europe/Brussels"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SetAside(t.Context(), "a", asides(0, 3)); err != nil {
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
	if about, err := s.About(t.Context(), "a"); about.Zone != "Europe/Brussels" || err != nil {
		t.Errorf("about %+v, %v", about, err)
	}
	insert(t, s, "a", 0, all...)
	if n := len(listed(t, s, "a")); n != 3 {
		t.Errorf("%d of 3 are set aside", n)
	}
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

// recount counts a series from samples in ascending order the slow and plain way: by what the clock on the wall shows at
// each of them. It has no means.
func recount(samples []wire.Sample, q Query) (buckets []wire.Bucket) {
	var shown string
	for i := range samples {
		sample := &samples[i]
		if sample.Time.Before(q.From) || !q.To.IsZero() && !sample.Time.Before(q.To) {
			continue
		}
		now, start := onTheWall(sample.Time, q)
		if now != shown {
			shown = now
			buckets = append(buckets, wire.Bucket{Start: start, MaxPVPowerW: new(math.Inf(-1))})
		}
		b := &buckets[len(buckets)-1]
		*b.MaxPVPowerW = max(*b.MaxPVPowerW, sample.PVPowerW)
		b.SampleCount += sample.Count
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

// difference describes the first one between two series; means, where some are wanted, may differ by the rounding of
// their sums.
func difference(got, want []wire.Bucket) string {
	same := func(a, b *float64) bool {
		return a == nil && b == nil || a != nil && b != nil && math.Abs(*a-*b) < 1e-6
	}
	for i := range min(len(got), len(want)) {
		g, w := got[i], want[i]
		if w.AvgPVPowerW == nil {
			g.AvgPVPowerW, g.AvgBatteryPowerW, g.AvgBatterySOCPct, g.AvgLoadPowerW, g.AvgExportPowerW = nil, nil, nil, nil, nil
		}
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
