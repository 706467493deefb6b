package bolt

import (
	"cmp"
	"maps"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"sunspool/vps/store"
	"sunspool/vps/store/rollup"
	"sunspool/vps/store/storetest"
)

func TestBoltOfVersionOneIsCountedAnew(t *testing.T) {
	storetest.Recount(t, storetest.Recounted{
		Open: func(t *testing.T, dir string) store.Samples { return open(t, dir) },
		AsV1: boltAsV1,
		Halfway: func(t *testing.T, s store.Samples, insert func()) {
			b := s.(*Store)
			w, err := b.countDay(t.Context())
			if err != nil || w == nil {
				t.Fatal(w, err)
			}
			insert()
			if err := b.do(t.Context(), w); err != nil {
				t.Fatal(err)
			}
		},
	})
}

func boltAsV1(t *testing.T, s store.Samples, _ string, rollups map[storetest.KeyV1][]byte, lost time.Time) {
	t.Helper()
	path := s.(*Store).path
	s.Close()
	db, err := bbolt.Open(path, 0o600, options())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Update(func(tx *bbolt.Tx) error {
		if err := tx.Bucket(metaBucket).Put(schemaKey, []byte("2")); err != nil {
			return err
		}
		for _, name := range []string{"a", "described"} {
			d := tx.Bucket(devicesBucket).Bucket([]byte(name))
			for _, k := range [][]byte{greatestKey, countedKey, countingKey} {
				if err := d.Delete(k); err != nil {
					return err
				}
			}
		}
		d := tx.Bucket(devicesBucket).Bucket([]byte("a"))
		for _, k := range slices.SortedFunc(maps.Keys(rollups), func(a, b storetest.KeyV1) int { return cmp.Compare(a.Start, b.Start) }) {
			start := key(k.Start)
			if err := d.Bucket(levelBuckets[k.Level]).Put(start, seal(start, rollups[k])); err != nil {
				return err
			}
		}
		return d.Bucket(levelBuckets[rollup.SamplesLevel]).Delete(key(lost.UnixMilli()))
	}); err != nil {
		t.Fatal(err)
	}
}
