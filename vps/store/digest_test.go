package store

import (
	"hash/maphash"
	"testing"
)

// A hash is another one with each change of what is stored in its time, or of whether there is anything before and after it, and
// the same with what changes elsewhere.
func TestDigestIsOfItsTimeAlone(t *testing.T) {
	const day = dayMS
	from, to := 10*day+1, 12*day+1 // days 10, 11 and 12
	seed := maphash.MakeSeed()
	hash := func(d Digest) (uint64, bool) {
		var h maphash.Hash
		h.SetSeed(seed)
		settled := d.AddTo(&h, from, to)
		return h.Sum64(), settled
	}
	base := func() Digest {
		return Digest{First: 2 * day, Last: 20 * day, Days: []DayDigest{{2 * day, 1}, {9 * day, 2}, {10 * day, 3}, {12 * day, 4}, {13 * day, 5}, {20 * day, 6}}}
	}
	want, settled := hash(base())
	if !settled {
		t.Error("no digest of days that have one")
	}
	for what, change := range map[string]func(d *Digest){
		"the first day's": func(d *Digest) { d.Days[2].Sum++ },
		"the last day's":  func(d *Digest) { d.Days[3].Sum++ },
		"another day":     func(d *Digest) { d.Days[3].Start = 11 * day },
		"a day less":      func(d *Digest) { d.Days = append(d.Days[:3:3], d.Days[4:]...) },
		"none before":     func(d *Digest) { d.First, d.Days = 10*day, d.Days[2:] },
		"none after":      func(d *Digest) { d.Last, d.Days = 12*day, d.Days[:4] },
		"none":            func(d *Digest) { *d = Digest{} },
	} {
		d := base()
		if change(&d); true {
			if got, _ := hash(d); got == want {
				t.Errorf("%s: the hash is the same", what)
			}
		}
	}
	for what, change := range map[string]func(d *Digest){
		"the day before":         func(d *Digest) { d.Days[1].Sum++ },
		"the day after":          func(d *Digest) { d.Days[4].Sum = 0 },
		"an earlier first day":   func(d *Digest) { d.First = day },
		"a later last day":       func(d *Digest) { d.Last = 30 * day },
		"days that are not read": func(d *Digest) { d.Days = d.Days[2:4] },
	} {
		d := base()
		change(&d)
		if got, settled := hash(d); got != want || !settled {
			t.Errorf("%s: the hash is another one", what)
		}
	}
	d := base()
	d.Days[3].Sum = 0
	if _, settled := hash(d); settled {
		t.Error("a day without a digest has one")
	}
}

// A Kept has so many at most, and those that were asked for lately.
func TestKeptIsBounded(t *testing.T) {
	var m Kept[int]
	for key := range uint64(10 * MostKept) {
		m.Put(key+1, int(key))
		if v, ok := m.Get(1); !ok || v != 0 {
			t.Fatalf("what is asked for again and again is lost after %d", key)
		}
		if n := len(m.young) + len(m.old); n > MostKept {
			t.Fatalf("%d are kept", n)
		}
	}
	if _, ok := m.Get(2); ok {
		t.Error("what was not asked for is kept")
	}
}
