package history

import (
	"testing"
	"time"

	"sunspool/vps/deviceinfo"
	"sunspool/vps/energy"
	"sunspool/vps/query"
	"sunspool/vps/store"
)

// What of a member makes a difference is in the key of what is kept: its name, its equipment, and when it slept in the period.
func TestKeyHasWhatAMemberIsAndWhenItSlept(t *testing.T) {
	noon := time.Date(2026, 6, 21, 12, 0, 0, 0, time.UTC)
	p := &energy.Period{Start: noon, End: noon.Add(24 * time.Hour)}
	night := func(from, to time.Duration) []deviceinfo.Sleep {
		return []deviceinfo.Sleep{{From: noon.Add(-30 * time.Hour), To: noon.Add(-20 * time.Hour)}, {From: noon.Add(from), To: noon.Add(to)}}
	}
	key := func(m deviceinfo.Member, some []deviceinfo.Sleep) uint64 {
		h := store.NewHash()
		addMember(h, &m)
		sleeps{some}.addTo(h, 0, p)
		return h.Sum64()
	}
	plain := key(deviceinfo.Member{ID: "a"}, night(10*time.Hour, 16*time.Hour))
	for what, other := range map[string]uint64{
		"another name":     key(deviceinfo.Member{ID: "b"}, night(10*time.Hour, 16*time.Hour)),
		"a meter":          key(deviceinfo.Member{ID: "a", Meter: true}, night(10*time.Hour, 16*time.Hour)),
		"a battery":        key(deviceinfo.Member{ID: "a", Battery: true}, night(10*time.Hour, 16*time.Hour)),
		"earlier dusk":     key(deviceinfo.Member{ID: "a"}, night(9*time.Hour, 16*time.Hour)),
		"later dawn":       key(deviceinfo.Member{ID: "a"}, night(10*time.Hour, 17*time.Hour)),
		"no sleep":         key(deviceinfo.Member{ID: "a"}, nil),
		"until the border": key(deviceinfo.Member{ID: "a"}, night(10*time.Hour, 24*time.Hour)),
	} {
		if other == plain {
			t.Errorf("%s: the key is the same", what)
		}
	}
	if key(deviceinfo.Member{ID: "a"}, night(10*time.Hour, 25*time.Hour)) != key(deviceinfo.Member{ID: "a"}, night(10*time.Hour, 30*time.Hour)) {
		t.Error("what is after the period changes its key")
	}
}

// The energies of a day are kept by all that decides about them, and not where a day that is read has no digest.
func TestKeyOfADayHasWhatDecidesAboutIt(t *testing.T) {
	from := time.Date(2026, 6, 21, 0, 0, 0, 0, time.UTC)
	day := query.Span{From: from, To: from.Add(24 * time.Hour)}
	digest := func(greatest float64, sum, before uint64) *store.Digest {
		return &store.Digest{First: 1, Last: day.To.UnixMilli(), GreatestW: greatest,
			Days: []store.DayDigest{{Start: from.Add(-24 * time.Hour).UnixMilli(), Sum: before}, {Start: from.UnixMilli(), Sum: sum}}}
	}
	plain := dayKey("a", day, digest(5000, 7, 8))
	if plain == 0 || plain != dayKey("a", day, digest(5000, 7, 8)) {
		t.Fatalf("the key of the same is %d", plain)
	}
	for what, other := range map[string]uint64{
		"another device":        dayKey("b", day, digest(5000, 7, 8)),
		"a greater power":       dayKey("a", day, digest(9000, 7, 8)),
		"another sample":        dayKey("a", day, digest(5000, 9, 8)),
		"one of the day before": dayKey("a", day, digest(5000, 7, 9)),
		"another zone":          dayKey("a", query.Span{From: day.From.Add(time.Hour), To: day.To.Add(time.Hour)}, digest(5000, 7, 8)),
	} {
		if other == plain {
			t.Errorf("%s: the key is the same", what)
		}
	}
	if dayKey("a", day, digest(5000, 0, 8)) != 0 || dayKey("a", day, nil) != 0 {
		t.Error("what may change without a new sample is kept")
	}
}
