package bolt

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"go.etcd.io/bbolt"

	"sunspool/vps/store"
	"sunspool/vps/store/rollup"
)

var (
	asideBucket     = []byte("aside")      // number -> when, code and sample, checksum
	asideKeysBucket = []byte("aside_keys") // key of the sample -> number
)

// asideWrite is a SetAside or a DeleteAside that waits for its commit.
type asideWrite struct {
	samples  []store.Aside
	deleteTo int64 // 0 for a SetAside

	added   []store.Aside
	deleted int64
	full    bool
}

func (w *asideWrite) changed() bool { return len(w.added) > 0 || w.deleted > 0 }

func (b *Store) SetAside(ctx context.Context, device string, samples []store.Aside) (added []store.Aside, err error) {
	w := newWrite(device)
	w.aside = &asideWrite{samples: samples}
	if err := b.do(ctx, w); err != nil {
		return nil, err
	}
	if w.aside.full {
		return nil, fmt.Errorf("device %q: %w", device, store.ErrAsideFull)
	}
	return w.aside.added, nil
}

func (b *Store) Aside(ctx context.Context, device string, after int64, limit int) (all []store.Aside, err error) {
	err = b.view(ctx, func(tx *bbolt.Tx) error {
		rows := asideOf(tx, device)
		if rows == nil {
			return nil
		}
		c := rows.Cursor()
		for k, v := c.Seek(key(after + 1)); k != nil && len(all) < limit; k, v = c.Next() {
			if s, whole := unpackAside(k, v); whole {
				all = append(all, s)
			} else {
				b.damaged.Add(1)
			}
		}
		return nil
	})
	return all, err
}

func (b *Store) DeleteAside(ctx context.Context, device string, to int64) (deleted int64, err error) {
	some := false
	if err := b.view(ctx, func(tx *bbolt.Tx) error { some = asideOf(tx, device) != nil; return nil }); err != nil || !some || to < 1 {
		return 0, err
	}
	w := newWrite(device)
	w.aside = &asideWrite{deleteTo: to}
	if err := b.do(ctx, w); err != nil {
		return 0, err
	}
	return w.aside.deleted, nil
}

func asideOf(tx *bbolt.Tx, device string) *bbolt.Bucket {
	if root := tx.Bucket(devicesBucket).Bucket([]byte(device)); root != nil {
		return root.Bucket(asideBucket)
	}
	return nil
}

func (d device) writeAside(w *asideWrite) error {
	w.added, w.deleted, w.full = nil, 0, false
	rows, err := d.root.CreateBucketIfNotExists(asideBucket)
	if err != nil {
		return err
	}
	keys, err := d.root.CreateBucketIfNotExists(asideKeysBucket)
	if err != nil {
		return err
	}
	if w.deleteTo > 0 {
		return w.delete(rows, keys)
	}
	some, hashes := store.UniqueAside(w.samples, func(k store.AsideKey) bool { return keys.Get(k[:]) != nil })
	if w.full = len(some) > 0 && numbered(rows)+len(some) > store.MaxAside; w.full {
		return nil
	}
	for i := range some {
		number, err := rows.NextSequence() // never twice, also after the row that had it is deleted
		if err != nil {
			return err
		}
		some[i].Number = int64(number)
		k := key(some[i].Number)
		if err := rows.Put(k, seal(k, packAside(&some[i]))); err != nil {
			return err
		}
		if err := keys.Put(hashes[i][:], k); err != nil {
			return err
		}
	}
	w.added = some
	return nil
}

// numbered returns how many rows there are: they are deleted from the front, so their numbers have no gap.
func numbered(rows *bbolt.Bucket) int {
	c := rows.Cursor()
	last, _ := c.Last()
	if last == nil {
		return 0
	}
	first, _ := c.First()
	return int(ms(last)-ms(first)) + 1
}

func (w *asideWrite) delete(rows, keys *bbolt.Bucket) error {
	c := rows.Cursor()
	for k, _ := c.First(); k != nil && ms(k) <= w.deleteTo; k, _ = c.First() {
		if err := c.Delete(); err != nil {
			return err
		}
		w.deleted++
	}
	// By their numbers: the key of a damaged row is not known.
	var gone [][]byte
	if err := keys.ForEach(func(k, number []byte) error {
		if ms(number) <= w.deleteTo {
			gone = append(gone, k)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, k := range gone {
		if err := keys.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

func packAside(s *store.Aside) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(s.Received.UnixMilli()))
	b = append(b, byte(min(len(s.Code), math.MaxUint8)))
	b = append(b, s.Code[:b[8]]...)
	return append(b, s.JSON...)
}

func unpackAside(k, v []byte) (s store.Aside, whole bool) {
	b, ok := unseal(k, v)
	if !ok || len(b) < 9 || len(b) < 9+int(b[8]) {
		return s, false
	}
	code := 9 + int(b[8])
	return store.Aside{Number: ms(k), Received: rollup.FromMS(ms(b[:8])), Code: string(b[9:code]), JSON: append([]byte(nil), b[code:]...)}, true
}
