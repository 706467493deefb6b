package bolt

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"sunspool/vps/store"
	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

// asSchema1 makes of a store's file what the first released schema was.
func asSchema1(t *testing.T, path string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, options())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		devices := tx.Bucket(devicesBucket)
		err := devices.ForEachBucket(func(name []byte) error {
			d := devices.Bucket(name)
			err := errors.Join(d.DeleteBucket([]byte("base")), d.DeleteBucket([]byte("hours")), d.DeleteBucket([]byte("watches")), d.DeleteBucket([]byte("days")), d.Delete(aboutKey))
			for _, old := range []string{"quarters", "days"} {
				b, err2 := d.CreateBucket([]byte(old))
				err = errors.Join(err, err2, b.Put(key(storetest.Noon.UnixMilli()), []byte("a sum that nobody reads any more")))
			}
			return errors.Join(err, d.Put([]byte("zone"), []byte("Asia/Kathmandu")))
		})
		ready, err2 := devices.CreateBucket([]byte("~ready"))
		return errors.Join(err, err2, ready.Put([]byte("zone"), []byte("UTC")), tx.Bucket(metaBucket).Put(schemaKey, []byte("1")))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFileOfTheFirstSchemaIsBroughtToThisOne(t *testing.T) {
	for _, interrupted := range []bool{false, true} {
		dir := t.TempDir()
		all := storetest.Random(rand.New(rand.NewPCG(21, 22)), storetest.Noon, 100*24*time.Hour, 5000)
		b := open(t, dir)
		storetest.Insert(t, b, "a", len(all), all...)
		storetest.Insert(t, b, "b", 1, storetest.At(storetest.Noon, 1))
		b.Close()
		asSchema1(t, b.path)
		if interrupted { // after the first device, by a power cut
			db, err := bbolt.Open(b.path, 0o600, options())
			if err != nil {
				t.Fatal(err)
			}
			if err := (&Store{path: b.path, db: db}).upgradeDevice("a"); err != nil {
				t.Fatal(err)
			}
			db.Close()
		}

		b = open(t, dir)
		devices, err := b.Devices(t.Context())
		if err != nil || len(devices) != 2 || devices[0].Zone != "Asia/Kathmandu" || devices[1].ID != "b" {
			t.Errorf("devices %+v, %v", devices, err)
		}
		slices.SortFunc(all, func(a, b wire.Sample) int { return a.Time.Compare(b.Time) })
		for _, r := range []store.Resolution{store.FiveMinutes, store.Hour, store.Day, store.Year} {
			q := store.Query{Device: "a", Resolution: r, Zone: time.UTC}
			got, err := b.Periods(t.Context(), q)
			want := storetest.RecountPeriods(all, q)
			if err != nil || len(got) != len(want) {
				t.Fatalf("%s: %d periods, %v; want %d", r, len(got), err, len(want))
			}
			for i := range got {
				if d := storetest.RollupDifference(&got[i].Rollup, &want[i].Rollup); d != "" {
					t.Fatalf("%s: period %d: %s", r, i, d)
				}
			}
		}
		if err := b.db.View(func(tx *bbolt.Tx) error {
			d := tx.Bucket(devicesBucket).Bucket([]byte("a"))
			if d.Bucket([]byte("quarters")) != nil || d.Get([]byte("zone")) != nil {
				t.Error("something of the old schema is left")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		b.Close()
	}
}
