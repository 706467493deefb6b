package storetest

import (
	"hash/maphash"
	"slices"
	"testing"
	"time"

	"sunspool/vps/store"
)

// digests returns those of devices in [from, to).
func digests(t *testing.T, s store.Samples, from, to time.Time, devices ...string) []store.Digest {
	t.Helper()
	all, err := s.Digests(t.Context(), devices, from, to)
	if err != nil || len(all) != len(devices) {
		t.Fatalf("%d digests of %d devices: %v", len(all), len(devices), err)
	}
	return all
}

// Each sample that is new changes the digest of its day, however late it is, and of no other day and device. A repetition
// changes nothing, and neither does pruning.
func digestsChange(t *testing.T, s store.Samples) {
	day := Noon.Truncate(24 * time.Hour)
	from, to := day.AddDate(0, 0, -1), day.AddDate(0, 0, 2)
	dayMS := func(n int) int64 { return day.AddDate(0, 0, n).UnixMilli() }
	Insert(t, s, "a", 3, At(Noon.AddDate(0, 0, -20), 10), At(Noon, 100), At(Noon.AddDate(0, 0, 1), 200))
	Insert(t, s, "b", 1, At(Noon, 100))
	all := digests(t, s, from, to, "a", "b", "none", "a")
	a, b := all[0], all[1]
	if a.First != dayMS(-20) || a.Last != dayMS(1) || a.GreatestW != 200 || len(a.Days) != 2 || a.Days[0].Start != dayMS(0) || a.Days[1].Start != dayMS(1) {
		t.Errorf("digest of a: %+v", a)
	}
	if len(b.Days) != 1 || b.Days[0] != a.Days[0] {
		t.Errorf("digest of b, which has the same sample: %+v, want %+v", b.Days, a.Days[0])
	}
	if none := all[2]; none.First != 0 || none.Last != 0 || none.Days != nil || !slices.Equal(all[3].Days, a.Days) {
		t.Errorf("digests of a device without samples and of one that is named twice: %+v", all[2:])
	}
	if one := digests(t, s, Noon, Noon.Add(time.Minute), "a")[0]; len(one.Days) != 1 || one.Days[0] != a.Days[0] {
		t.Errorf("a part of a day has %+v", one)
	}

	same := func(what string, days ...int) {
		t.Helper()
		now := digests(t, s, from, to, "a")[0]
		for i := range now.Days {
			if changed := now.Days[i] != a.Days[i]; changed != slices.Contains(days, i) || now.Days[i].Sum == 0 {
				t.Errorf("%s: day %d changes from %+v to %+v", what, i, a.Days[i], now.Days[i])
			}
		}
		a = now
	}
	Insert(t, s, "a", 0, At(Noon, 100), At(Noon.AddDate(0, 0, 1), 300))
	same("repetitions")
	Insert(t, s, "b", 1, At(Noon.Add(time.Second), 100))
	same("a sample of another device")
	for i, at := range []time.Duration{6 * time.Hour, -6 * time.Hour, time.Second, -time.Second, 11 * time.Hour} { // newest, oldest, between
		Insert(t, s, "a", 1, At(Noon.Add(at), float64(i)))
		same("a sample of the first day", 0)
	}
	for deleted := int64(1); deleted > 0; {
		var err error
		if deleted, err = s.Prune(t.Context(), Noon.AddDate(0, 0, 1)); err != nil {
			t.Fatal(err)
		}
	}
	same("pruning")
	Insert(t, s, "a", 1, At(Noon.Add(6*time.Hour+time.Second), 0))
	same("a late sample of five minutes that were pruned", 0)
	Insert(t, s, "a", 1, At(Noon.AddDate(0, 0, -30), 0), At(Noon.AddDate(0, 0, -30), 1))
	if same("an older sample"); a.First != dayMS(-30) {
		t.Errorf("the first day is %v", time.UnixMilli(a.First).UTC())
	}
}

// settled reports whether all of a device's rollups in [from, to) have a digest.
func settled(t *testing.T, s store.Samples, device string, from, to time.Time) bool {
	t.Helper()
	return new(digests(t, s, from, to, device)[0]).AddTo(new(maphash.Hash), from.UnixMilli(), to.UnixMilli())
}
