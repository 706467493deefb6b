package bolt

import (
	"errors"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"sunspool/vps/energy"
	"sunspool/vps/store/rollup"
	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

func TestPendingRollupsInBolt(t *testing.T) {
	b := opened(t, t.TempDir())
	each := func(f func(level *bbolt.Bucket, k, v []byte) error) {
		t.Helper()
		if err := b.db.Update(func(tx *bbolt.Tx) error {
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
	storetest.Pending(t, b, func() {
		each(func(level *bbolt.Bucket, k, v []byte) error {
			payload, _ := unseal(k, v)
			p, _, ok := rollup.Known(payload)
			if !ok {
				return errors.New("a rollup cannot be read")
			}
			return level.Put(k, seal(k, p.Append(nil)))
		})
	}, func() (n int) {
		each(func(_ *bbolt.Bucket, k, v []byte) error {
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
	storetest.Fill(t, b, "a", storetest.Tenths(0, 2000))
	w := newWrite("a")
	w.pack([]wire.Sample{storetest.TenthPlus(7, 1)})
	if err := b.db.Update(func(tx *bbolt.Tx) error {
		if _, err := b.apply(tx, []*write{w}); err != nil {
			return err
		}
		d, _ := b.device(tx, "a")
		for level := rollup.BaseLevel; level < rollup.Levels; level++ {
			p, pending, ok := d.known(level, rollup.StartOf(level, storetest.Noon.UnixMilli()))
			if !pending || !ok || p != (energy.Pending{Rows: 2001, First: storetest.Noon.UnixMilli(), Last: storetest.Tenth(1999).Time.UnixMilli()}) {
				t.Errorf("level %d: %+v is pending: %v", level, p, pending)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	storetest.IsRecount(t, b, "a", append(storetest.Tenths(0, 2000), storetest.TenthPlus(7, 1)))
}

// What an earlier version stored more densely than is allowed now stays, and is answered.
func TestDenserSpansOfAnEarlierVersionStay(t *testing.T) {
	b := opened(t, t.TempDir())
	all := storetest.Houses(storetest.Noon, 50*time.Millisecond, 0, 5000)
	w := newWrite("a")
	w.pack(all)
	if err := b.db.Update(func(tx *bbolt.Tx) error {
		d, err := b.createDevice(tx, "a")
		if err != nil {
			return err
		}
		for _, r := range w.rows {
			if err := d.levels[rollup.SamplesLevel].Put(key(r.ms), r.value); err != nil {
				return err
			}
		}
		c := changes{}
		c.at(storetest.Noon.UnixMilli()).recompute = true
		return d.deriveAll(c, 1<<60)
	}); err != nil {
		t.Fatal(err)
	}
	storetest.Insert(t, b, "a", 0, all...)
	storetest.TooDense(t, b, "a", []wire.Sample{all[3], storetest.TenthPlus(1, 7)}, 1)
	storetest.Insert(t, b, "a", 1, storetest.At(storetest.Noon.Add(-time.Second), 1))
	storetest.IsRecount(t, b, "a", append(all, storetest.At(storetest.Noon.Add(-time.Second), 1)))
}
