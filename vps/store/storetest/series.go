package storetest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sunspool/internal/race"
	"sunspool/vps/store"
	"sunspool/wire"
)

var zones = []string{"UTC", "Europe/Brussels", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe", "Africa/Cairo", "America/Santiago"}

// The days on which clocks are changed are in the year of the test: at night in Brussels, by half an hour on Lord Howe,
// and so that there is no midnight in Cairo and Santiago.
func seriesIsARecount(t *testing.T, s store.Samples) {
	race.Skip(t, "arithmetic")
	r := rand.New(rand.NewPCG(2, 3))
	var all []wire.Sample
	for _, change := range []string{"03-29", "10-25", "04-04", "10-03", "04-24", "10-29", "09-06", "04-05"} {
		day, err := time.Parse(time.DateOnly, "2026-"+change)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Random(r, day.Add(-30*time.Hour), 80*time.Hour, 150)...)
	}
	all = append(all, Random(r, time.Date(2025, 11, 20, 0, 0, 0, 0, time.UTC), 400*24*time.Hour, 500)...)
	byTime := slices.SortedFunc(slices.Values(all), func(a, b wire.Sample) int { return a.Time.Compare(b.Time) })
	reversed := slices.Clone(byTime)
	slices.Reverse(reversed)

	arrivals := map[string][]wire.Sample{"in-order": byTime, "reversed": reversed, "random": all}
	for device, samples := range arrivals {
		for batch := range slices.Chunk(samples, 97) {
			Insert(t, s, device, len(batch), batch...)
		}
	}
	first := byTime[0].Time
	for _, name := range zones {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, resolution := range []store.Resolution{store.Quarter, store.Hour, store.Day, store.Month} {
			for i := range 8 {
				q := store.Query{Resolution: resolution, Zone: zone}
				if i > 0 {
					q.From = first.Add(time.Duration(r.Int64N(int64(400 * 24 * time.Hour)))).Truncate(time.Microsecond)
					q.To = q.From.Add(time.Duration(r.Int64N(int64(200 * 24 * time.Hour))))
				}
				want := recount(byTime, q)
				for device := range arrivals {
					q.Device = device
					if d := difference(Series(t, s, q), want); d != "" {
						t.Fatalf("%s, %s in %s from %v to %v: %s", device, resolution, name, q.From, q.To, d)
					}
				}
			}
		}
	}
}

func seriesEdges(t *testing.T, s store.Samples) {
	for i := range 60 {
		Insert(t, s, "a", 1, At(Noon.Add(time.Duration(i)*time.Minute), float64(i)))
	}
	minute := func(m float64) time.Time { return Noon.Add(time.Duration(m * float64(time.Minute))) }
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
		for _, b := range Series(t, s, store.Query{Device: "a", From: c.from, To: c.to, Resolution: store.Quarter}) {
			counts = append(counts, b.SampleCount)
			if b.Start.Minute()%15 != 0 || b.Start.Second() != 0 || b.Start.Location() != time.UTC {
				t.Errorf("a quarter starts at %v", b.Start)
			}
		}
		if !slices.Equal(counts, c.counts) {
			t.Errorf("[%v, %v): %v samples, want %v", c.from, c.to, counts, c.counts)
		}
	}
	if _, err := s.Periods(t.Context(), store.Query{Device: "a", Resolution: "week"}); err == nil {
		t.Error("a resolution of a week gave no error")
	}
}

func lateSampleIsInTheNextAnswer(t *testing.T, s store.Samples) {
	q := store.Query{Device: "a", Resolution: store.Month}
	Insert(t, s, "a", 1, At(Noon, 100))
	for i := range 40 {
		Insert(t, s, "a", 1, At(Noon.Add(time.Duration(-i-1)*11*time.Hour), 100+float64(i)))
		n := 0
		for _, b := range Series(t, s, q) {
			n += b.SampleCount
		}
		if n != i+2 {
			t.Fatalf("%d samples in the series, %d were inserted", n, i+2)
		}
	}
}

func meanIsOverTime(t *testing.T, s store.Samples) {
	Insert(t, s, "a", 3,
		wire.Sample{Time: Noon, PVPowerW: 100, Count: 3, BatteryPowerW: new(-500.0)},
		wire.Sample{Time: Noon.Add(time.Minute), PVPowerW: 500, Count: 1, BatteryPowerW: nil, LoadPowerW: new(0.0)},
		wire.Sample{Time: Noon.Add(time.Hour), PVPowerW: -7, Count: 2},
	)
	got := Series(t, s, store.Query{Device: "a", Resolution: store.Day})
	if len(got) != 1 {
		t.Fatalf("series %s", Dump(got))
	}
	want := wire.Bucket{
		Start: Noon.Truncate(24 * time.Hour), AvgPVPowerW: new((100*75 + 500*45 + 0*10) / 130.0), MaxPVPowerW: new(500.0),
		AvgBatteryPowerW: new(-500.0), AvgLoadPowerW: new(0.0), SampleCount: 6,
	}
	if d := difference(got, []wire.Bucket{want}); d != "" {
		t.Error(d)
	}
	got = Series(t, s, store.Query{Device: "a", From: Noon.Add(time.Hour), Resolution: store.Quarter})
	if len(got) != 1 || *got[0].MaxPVPowerW != -7 {
		t.Errorf("the maximum of a negative value is %s", Dump(got))
	}
}

func hoursFollowTheLocalClock(t *testing.T, s store.Samples) {
	for i := range 60 * 4 {
		Insert(t, s, "a", 2,
			At(time.Date(2026, 3, 28, 22, 15*i, 0, 0, time.UTC), 1), At(time.Date(2026, 10, 24, 21, 15*i, 0, 0, time.UTC), 1))
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
		q := store.Query{Device: "a", From: from, To: from.AddDate(0, 0, 1), Zone: zone, Resolution: store.Hour}
		hours := Series(t, s, q)
		q.Resolution = store.Day
		days := Series(t, s, q)
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

// recount counts a series from samples in ascending order the slow and plain way: by what the clock on the wall shows at each
// of them. It has no means.
func recount(samples []wire.Sample, q store.Query) (buckets []wire.Bucket) {
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

// onTheWall returns what a clock that has only the digits of the resolution shows at t, and since when.
func onTheWall(t time.Time, q store.Query) (digits string, since time.Time) {
	layout := map[store.Resolution]string{store.Hour: "2006-01-02 15 -0700", store.Day: "2006-01-02", store.Month: "2006-01"}[q.Resolution]
	show := func(t time.Time) string {
		if q.Resolution == store.Quarter {
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
			return fmt.Sprintf("bucket %d is\n%s, want\n%s", i, Dump(got[i:i+1]), Dump(want[i:i+1]))
		}
	}
	if len(got) != len(want) {
		return fmt.Sprintf("%d buckets, want %d", len(got), len(want))
	}
	return ""
}

// Dump returns buckets as text.
func Dump(buckets []wire.Bucket) (s string) {
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
