package bolt

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"go.etcd.io/bbolt"

	"sunspool/vps/store"
	"sunspool/vps/store/rollup"
)

const readyBucket = "~ready" // of schema 1, among the devices

// upgradeFile brings a file of an older schema to the present one. Samples are never changed. If it is interrupted at any
// point, it begins again, with the same result.
//
// Schema 1 had rollups of quarter-hours and days, the zone of a device by itself, and a device of the name ~ready, whose zone
// was written to check that the disk can be written to. Its rollups, of which no samples were ever deleted, are made again
// here. Those of schema 2 stay: see Recount.
func upgradeFile(db *bbolt.DB) error {
	schema, names := 0, []string(nil)
	err := db.View(func(tx *bbolt.Tx) (err error) {
		if schema, err = strconv.Atoi(string(tx.Bucket(metaBucket).Get(schemaKey))); err != nil || schema == fileSchema {
			return err
		}
		if schema > 1 {
			return nil
		}
		return tx.Bucket(devicesBucket).ForEachBucket(func(name []byte) error {
			names = append(names, string(name))
			return nil
		})
	})
	if err != nil || schema == fileSchema {
		return err
	}
	b := &Store{path: db.Path(), db: db}
	for _, name := range names {
		if err := b.upgradeDevice(name); err != nil {
			return fmt.Errorf("bring device %q to schema %d: %w", name, fileSchema, err)
		}
	}
	return db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(metaBucket).Put(schemaKey, strconv.AppendInt(nil, fileSchema, 10))
	})
}

func (b *Store) upgradeDevice(name string) error {
	err := b.db.Update(func(tx *bbolt.Tx) error {
		all := tx.Bucket(devicesBucket)
		if name == readyBucket {
			return all.DeleteBucket([]byte(name))
		}
		d := all.Bucket([]byte(name))
		for _, old := range [...]string{"quarters", "base", "hours", "watches", "days"} {
			if d.Bucket([]byte(old)) == nil {
				continue
			}
			if err := d.DeleteBucket([]byte(old)); err != nil {
				return err
			}
		}
		if zone := d.Get([]byte("zone")); zone != nil {
			text, err := json.Marshal(store.About{Zone: string(zone)})
			if err != nil {
				return err
			}
			if err := d.Put(aboutKey, seal(aboutKey, text)); err != nil {
				return err
			}
		}
		return d.Delete([]byte("zone"))
	})
	for from := int64(0); err == nil && from >= 0; {
		err = b.db.Update(func(tx *bbolt.Tx) error {
			from, err = b.deriveDays(tx, name, from)
			return err
		})
	}
	return err
}

// deriveDays makes the rollups of the next month of days that have samples, and returns where to go on, -1 at the end.
func (b *Store) deriveDays(tx *bbolt.Tx, name string, from int64) (next int64, err error) {
	if tx.Bucket(devicesBucket).Bucket([]byte(name)) == nil {
		return -1, nil
	}
	d, err := b.createDevice(tx, name)
	if err != nil {
		return 0, err
	}
	bases := changes{}
	k, _ := d.levels[rollup.SamplesLevel].Cursor().Seek(key(from))
	if k == nil {
		return -1, nil
	}
	c := d.levels[rollup.SamplesLevel].Cursor()
	next = rollup.StartOf(rollup.DayLevel, ms(k)) + 31*24*time.Hour.Milliseconds()
	for k, _ := c.Seek(k); k != nil && ms(k) < next; k, _ = c.Seek(key(rollup.StartOf(rollup.BaseLevel, ms(k)) + rollup.Spans[rollup.BaseLevel])) {
		bases.at(rollup.StartOf(rollup.BaseLevel, ms(k))).recompute = true
	}
	return next, d.deriveAll(bases, math.MaxInt64)
}
