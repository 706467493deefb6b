package store

import (
	"cmp"
	"maps"
	"slices"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

func TestBoltOfVersionOneIsCountedAnew(t *testing.T) {
	testRecount(t, recounted{
		open: func(t *testing.T, dir string) Samples { return open(t, dir) },
		asV1: boltAsV1,
		halfway: func(t *testing.T, s Samples, insert func()) {
			b := s.(*Bolt)
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

func boltAsV1(t *testing.T, s Samples, _ string, rollups map[keyV1][]byte, lost time.Time) {
	t.Helper()
	path := s.(*Bolt).path
	s.Close()
	db, err := bolt.Open(path, 0o600, options())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Update(func(tx *bolt.Tx) error {
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
		for _, k := range slices.SortedFunc(maps.Keys(rollups), func(a, b keyV1) int { return cmp.Compare(a.start, b.start) }) {
			start := key(k.start)
			if err := d.Bucket(levelBuckets[k.level]).Put(start, seal(start, rollups[k])); err != nil {
				return err
			}
		}
		return d.Bucket(levelBuckets[samplesLevel]).Delete(key(lost.UnixMilli()))
	}); err != nil {
		t.Fatal(err)
	}
}
