package store

import (
	"context"
	"encoding/binary"
	"math"

	bolt "go.etcd.io/bbolt"

	"sunspool/vps/energy"
	"sunspool/wire"
)

var (
	countedKey  = []byte("counted")  // the version by which all rollups are counted, one byte
	countingKey = []byte("counting") // the version for which they are being counted, and the time from which on they are
)

func (b *Bolt) Recount(ctx context.Context) (days int, err error) {
	b.recounting.Lock()
	defer b.recounting.Unlock()
	for {
		w, err := b.countDay(ctx)
		if err != nil || w == nil {
			return 0, err
		}
		if err := b.do(ctx, w); err != nil {
			return 0, err
		}
		b.recounted = w.device
		if w.count.start > 0 {
			return 1, nil
		}
	}
}

// countDay counts the newest day that is not counted yet of the next device, nil when there is none.
func (b *Bolt) countDay(ctx context.Context) (w *write, err error) {
	err = b.view(ctx, func(tx *bolt.Tx) error {
		c := tx.Bucket(devicesBucket).Cursor()
		for name, _ := c.Seek([]byte(b.recounted)); name != nil; name, _ = c.Next() {
			d, ok := b.device(tx, string(name))
			if !ok || d.counted() >= energy.PackVersion {
				continue
			}
			w = newWrite(string(name))
			w.count = new(dayCount)
			return d.countDay(ctx, w.count)
		}
		return nil
	})
	return w, err
}

func (d device) countDay(ctx context.Context, into *dayCount) error {
	from := d.countedFrom()
	c := d.levels[samplesLevel].Cursor()
	newest, _ := c.Seek(key(from))
	if newest == nil {
		newest, _ = c.Last()
	} else {
		newest, _ = c.Prev()
	}
	if newest != nil {
		into.start = spanOf(dayLevel, ms(newest))
		d.samples(into.start, into.start+spans[dayLevel], func(s *wire.Sample) bool { into.add(s); return ctx.Err() == nil })
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	d.rows(dayLevel, into.start, from, func(_ int64, r *energy.Rollup) bool { into.addDay(r); return true })
	return nil
}

// putCount stores a day that was counted anew, and that it is. The rows above are left to the caller, by bases.
func (d device) putCount(c *dayCount, bases changes) error {
	for start := range c.bases {
		k := key(start)
		v := d.levels[baseLevel].Get(k)
		if _, pending := pendingIn(k, v); v == nil || pending { // of today's rules when it is computed
			continue
		}
		stored := d.rollup(baseLevel, k, v)
		if r := c.replacement(start, &stored); r != nil {
			if err := d.putRollup(baseLevel, start, r); err != nil {
				return err
			}
			bases.at(start)
		}
	}
	if err := d.raiseGreatest(c.greatestW); err != nil {
		return err
	}
	if c.start > 0 {
		state := binary.BigEndian.AppendUint64([]byte{energy.PackVersion}, uint64(c.start))
		return d.root.Put(countingKey, seal(countingKey, state))
	}
	if err := d.root.Delete(countingKey); err != nil {
		return err
	}
	return d.setCounted()
}

// counted returns the version of the rules by which all rollups of the device are counted that have their samples; 0 for
// that of the first release.
func (d device) counted() byte {
	payload, ok := unseal(countedKey, d.root.Get(countedKey))
	if !ok || len(payload) != 1 {
		return 0
	}
	return payload[0]
}

func (d device) setCounted() error {
	return d.root.Put(countedKey, seal(countedKey, []byte{energy.PackVersion}))
}

// countedFrom returns the time, ms, from which on the rollups are counted already.
func (d device) countedFrom() int64 {
	payload, ok := unseal(countingKey, d.root.Get(countingKey))
	if !ok || len(payload) != 9 || payload[0] != energy.PackVersion {
		return math.MaxInt64
	}
	return ms(payload[1:])
}
