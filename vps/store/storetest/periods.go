package storetest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"sunspool/internal/race"
	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/rollup"
	"sunspool/wire"
)

// The rollups themselves, with energy and counters, are what the samples alone give.
func periodsAreARecount(t *testing.T, s store.Samples) {
	race.Skip(t, "arithmetic")
	r := rand.New(rand.NewPCG(11, 12))
	all := Random(r, Noon, 100*time.Hour, 2500)
	all = append(all, Random(r, Noon.Add(200*time.Hour), 2*time.Hour, 1000)...)
	for batch := range slices.Chunk(all, 93) {
		Insert(t, s, "a", len(batch), batch...)
	}
	slices.SortFunc(all, func(a, b wire.Sample) int { return a.Time.Compare(b.Time) })
	zone, err := time.LoadLocation("Asia/Kathmandu")
	if err != nil {
		t.Fatal(err)
	}
	for _, resolution := range []store.Resolution{store.Minute, store.FiveMinutes, store.Quarter, store.Hour, store.Day, store.Month, store.Year} {
		for i := range 5 {
			q := store.Query{Device: "a", Resolution: resolution, Zone: zone}
			if i > 0 {
				q.From = Noon.Add(time.Duration(r.Int64N(int64(100 * time.Hour)))).Truncate(time.Millisecond)
				q.To = q.From.Add(time.Duration(r.Int64N(int64(140 * time.Hour)))).Truncate(time.Millisecond)
			}
			for at := Noon.Add(-time.Hour); i%2 == 1 && at.Before(Noon.Add(250*time.Hour)); {
				q.Cuts = append(q.Cuts, at.Add(time.Duration(r.IntN(2)*r.IntN(1e6)))) // what is below a millisecond does not count
				at = at.Add(time.Duration(1+r.IntN(300)) * 5 * time.Minute)
			}
			got, err := s.Periods(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			want := RecountPeriods(all, q)
			if len(got) != len(want) {
				t.Fatalf("%s: %d periods, want %d", resolution, len(got), len(want))
			}
			for i := range got {
				if d := RollupDifference(&got[i].Rollup, &want[i].Rollup); d != "" || !got[i].Start.Equal(want[i].Start) || !got[i].End.Equal(want[i].End) {
					t.Fatalf("%s from %v to %v: period %d from %v: %s", resolution, q.From, q.To, i, want[i].Start, d)
				}
			}
		}
	}
}

// RecountPeriods makes periods of samples in ascending order with no rollups of hours and days in between.
func RecountPeriods(samples []wire.Sample, q store.Query) (periods []energy.Period) {
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	if len(samples) > 0 { // what a power beside midnight reaches of a day without samples is nobody's
		from = rollup.StartOf(rollup.DayLevel, samples[0].Time.UnixMilli())
		to = rollup.StartOf(rollup.DayLevel, samples[len(samples)-1].Time.UnixMilli()) + rollup.Spans[rollup.DayLevel]
	}
	if !q.From.IsZero() {
		from = max(from, rollup.CeilMS(q.From))
	}
	if !q.To.IsZero() {
		to = min(to, rollup.CeilMS(q.To))
	}
	var outside energy.Rollup
	line := energy.Line{Account: func(at int64) (*energy.Rollup, int64) {
		switch {
		case at < from:
			return &outside, from
		case at >= to:
			return &outside, math.MaxInt64
		}
		start, end := periodOf(rollup.FromMS(at), q)
		if n := len(periods); n == 0 || !periods[n-1].Start.Equal(start) {
			periods = append(periods, energy.Period{Start: start, End: end})
		}
		return &periods[len(periods)-1].Rollup, min(end.UnixMilli(), to)
	}}
	for len(samples) > 0 {
		first := samples[0].Time.UnixMilli()
		until := rollup.StartOf(rollup.BaseLevel, first) + rollup.Spans[rollup.BaseLevel]
		if first >= from && first < to {
			_, end := periodOf(samples[0].Time, q)
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

// periodOf returns the period of q that t is in.
func periodOf(t time.Time, q store.Query) (start, end time.Time) {
	start, end = q.Resolution.Period(t, q.Zone)
	for _, cut := range q.Cuts {
		cut = cut.Truncate(time.Millisecond)
		if !cut.After(t) && cut.After(start) {
			start = cut
		}
		if cut.After(t) && cut.Before(end) {
			end = cut
		}
	}
	return start, end
}

// RollupDifference names a field in which two rollups differ by more than the rounding of sums.
func RollupDifference(a, b *energy.Rollup) string {
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

// A counter is looked for across any gap, and where it did not rise for days.
func countersAreLookedForAround(t *testing.T, s store.Samples) {
	with := func(t time.Time, pv, imported float64) wire.Sample {
		s := At(t, 1)
		s.PVTotalKWh = &pv
		if imported > 0 {
			s.ImportTotalKWh = &imported
		}
		return s
	}
	Insert(t, s, "a", 5,
		with(Noon, 100, 10), with(Noon.Add(time.Minute), 100.1, 0), with(Noon.Add(2*time.Minute), 100.2, 0),
		with(Noon.Add(20*24*time.Hour), 200, 0), with(Noon.Add(20*24*time.Hour+10*time.Minute), 200.1, 20))
	for _, c := range []struct {
		at                        time.Time
		before, after             float64 // of the PV counter, 0 for none
		beforeImport, afterImport float64
	}{
		{Noon.Add(-time.Hour), 0, 100, 0, 10},
		{Noon, 0, 100, 0, 10},
		{Noon.Add(time.Millisecond), 100, 100.1, 10, 20},
		{Noon.Add(90 * time.Second), 100.1, 100.2, 10, 20},
		{Noon.Add(2*time.Minute + 1), 100.2, 200, 10, 20},
		{Noon.Add(10 * 24 * time.Hour), 100.2, 200, 10, 20},
		{Noon.Add(20*24*time.Hour + time.Second), 200, 200.1, 10, 20},
	} {
		inside, around, err := s.Surrounded(t.Context(), store.Query{Device: "a", From: c.at, To: c.at.Add(time.Millisecond), Resolution: store.Minute})
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

// ExactlyOnce compares all that is stored of a device, and its rollups, with what was sent.
func ExactlyOnce(t *testing.T, s store.Samples, device string, sent []wire.Sample) {
	t.Helper()
	sent = slices.Clone(sent)
	slices.SortFunc(sent, func(a, b wire.Sample) int { return a.Time.Compare(b.Time) })
	i := 0
	err := s.Each(t.Context(), device, time.Time{}, time.Time{}, func(got wire.Sample) bool {
		if i < len(sent) {
			want := sent[i]
			want.DeviceID = device
			if string(got.AppendPacked(nil)) != string(want.AppendPacked(nil)) {
				t.Fatalf("sample %d is %+v, sent was %+v", i, got, want)
			}
		}
		i++
		return true
	})
	if err != nil || i != len(sent) {
		t.Fatalf("%d samples are stored of %d, %v", i, len(sent), err)
	}
	for _, resolution := range []store.Resolution{store.FiveMinutes, store.Hour, store.Day} {
		q := store.Query{Device: device, Resolution: resolution, Zone: time.UTC}
		got, err := s.Periods(t.Context(), q)
		want := RecountPeriods(sent, q)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: %d periods, %v; want %d", resolution, len(got), err, len(want))
		}
		for i := range got {
			if d := RollupDifference(&got[i].Rollup, &want[i].Rollup); d != "" {
				t.Fatalf("%s: period %d: %s", resolution, i, d)
			}
		}
	}
}

// IsRecount compares all that is stored of a device, and its rollups, with the samples.
func IsRecount(t *testing.T, s store.Samples, device string, samples []wire.Sample) {
	t.Helper()
	samples = slices.SortedFunc(slices.Values(samples), func(a, b wire.Sample) int { return a.Time.Compare(b.Time) })
	i := 0
	if err := s.Each(t.Context(), device, time.Time{}, time.Time{}, func(got wire.Sample) bool {
		i++
		return i > len(samples) || got.Time.Equal(samples[i-1].Time) && got.PVPowerW == samples[i-1].PVPowerW
	}); err != nil || i != len(samples) {
		t.Fatalf("%d samples are stored of %d, or the last of these is another, %v", i, len(samples), err)
	}
	for _, resolution := range []store.Resolution{store.FiveMinutes, store.Hour, store.Day, store.Month} {
		q := store.Query{Device: device, Resolution: resolution, Zone: time.UTC}
		got, err := s.Periods(t.Context(), q)
		want := RecountPeriods(samples, q)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: %d periods, %v; want %d", resolution, len(got), err, len(want))
		}
		for i := range got {
			if d := RollupDifference(&got[i].Rollup, &want[i].Rollup); d != "" {
				t.Fatalf("%s: period %d: %s", resolution, i, d)
			}
		}
	}
}
