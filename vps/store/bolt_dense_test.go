package store

import (
	"errors"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/vps/energy"
	"sunspool/wire"
)

func TestPendingRollupsInBolt(t *testing.T) {
	b := opened(t, t.TempDir())
	each := func(f func(level *bolt.Bucket, k, v []byte) error) {
		t.Helper()
		if err := b.db.Update(func(tx *bolt.Tx) error {
			return tx.Bucket(devicesBucket).ForEachBucket(func(name []byte) error {
				for _, level := range levelBuckets[1:] {
					bucket := tx.Bucket(devicesBucket).Bucket(name).Bucket(level)
					if err := bucket.ForEach(func(k, v []byte) error { return f(bucket, k, v) }); err != nil {
						return err
					}
				}
				return nil
			})
		}); err != nil {
			t.Fatal(err)
		}
	}
	testPending(t, b, func() {
		each(func(level *bolt.Bucket, k, v []byte) error {
			payload, _ := unseal(k, v)
			p, _, ok := known(payload)
			if !ok {
				return errors.New("a rollup cannot be read")
			}
			return level.Put(k, seal(k, p.Append(nil)))
		})
	}, func() (n int) {
		each(func(_ *bolt.Bucket, k, v []byte) error {
			if _, pending := pendingIn(k, v); pending {
				n++
			}
			return nil
		})
		return n
	})
	if n := b.Damaged(); n != 0 {
		t.Errorf("%d rows are called damaged", n)
	}
}

// A rollup of very many samples is not computed in the transaction of a single one.
func TestLateSampleLeavesADenseRollupPending(t *testing.T) {
	b := opened(t, t.TempDir())
	fill(t, b, "a", tenths(0, 2000))
	w := newWrite("a")
	w.pack([]wire.Sample{tenthPlus(7, 1)})
	if err := b.db.Update(func(tx *bolt.Tx) error {
		if _, err := b.apply(tx, []*write{w}); err != nil {
			return err
		}
		d, _ := b.device(tx, "a")
		for level := baseLevel; level < levels; level++ {
			p, pending, ok := d.known(level, spanOf(level, noon.UnixMilli()))
			if !pending || !ok || p != (energy.Pending{Rows: 2001, First: noon.UnixMilli(), Last: tenth(1999).Time.UnixMilli()}) {
				t.Errorf("level %d: %+v is pending: %v", level, p, pending)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	isRecount(t, b, "a", append(tenths(0, 2000), tenthPlus(7, 1)))
}

// What an earlier version stored more densely than is allowed now stays, and is answered.
func TestDenserSpansOfAnEarlierVersionStay(t *testing.T) {
	b := opened(t, t.TempDir())
	all := houses(noon, 50*time.Millisecond, 0, 5000)
	w := newWrite("a")
	w.pack(all)
	if err := b.db.Update(func(tx *bolt.Tx) error {
		d, err := b.createDevice(tx, "a")
		if err != nil {
			return err
		}
		for _, r := range w.rows {
			if err := d.levels[samplesLevel].Put(key(r.ms), r.value); err != nil {
				return err
			}
		}
		c := changes{}
		c.at(noon.UnixMilli()).anew = true
		return d.deriveAll(c, 1<<60)
	}); err != nil {
		t.Fatal(err)
	}
	insert(t, b, "a", 0, all...)
	tooDense(t, b, "a", []wire.Sample{all[3], tenthPlus(1, 7)}, 1)
	insert(t, b, "a", 1, at(noon.Add(-time.Second), 1))
	isRecount(t, b, "a", append(all, at(noon.Add(-time.Second), 1)))
}
