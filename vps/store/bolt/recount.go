package bolt

import (
	"context"
	"encoding/binary"
	"math"

	"go.etcd.io/bbolt"

	"sunspool/vps/energy"
	"sunspool/vps/store/rollup"
	"sunspool/wire"
)

var (
	countedKey  = []byte("counted")  // the version by which all rollups are counted, one byte
	countingKey = []byte("counting") // the version for which they are being counted, and the time from which on they are
)

func (b *Store) Recount(ctx context.Context) (days int, err error) {
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
		if w.count.Start > 0 {
			return 1, nil
		}
	}
}

// countDay counts the newest day that is not counted yet of the next device, nil when there is none.
func (b *Store) countDay(ctx context.Context) (w *write, err error) {
	err = b.view(ctx, func(tx *bbolt.Tx) error {
		c := tx.Bucket(devicesBucket).Cursor()
		for name, _ := c.Seek([]byte(b.recounted)); name != nil; name, _ = c.Next() {
			d, ok := b.device(tx, string(name))
			if !ok || d.counted() >= energy.PackVersion {
				continue
			}
			w = newWrite(string(name))
			w.count = new(rollup.DayCount)
			return d.countDay(ctx, w.count)
		}
		return nil
	})
	return w, err
}

func (d device) countDay(ctx context.Context, into *rollup.DayCount) error {
	from := d.countedFrom()
	c := d.levels[rollup.SamplesLevel].Cursor()
	newest, _ := c.Seek(key(from))
	if newest == nil {
		newest, _ = c.Last()
	} else {
		newest, _ = c.Prev()
	}
	if newest != nil {
		into.Start = rollup.StartOf(rollup.DayLevel, ms(newest))
		d.samples(into.Start, into.Start+rollup.Spans[rollup.DayLevel], func(s *wire.Sample) bool { into.Add(s); return ctx.Err() == nil })
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	d.rows(rollup.DayLevel, into.Start, from, func(_ int64, r *energy.Rollup) bool { into.AddDay(r); return true })
	return nil
}

// putCount stores a day that was counted again, and the progress. The rows above are left to the caller, by bases.
func (d device) putCount(c *rollup.DayCount, bases changes) error {
	for start := range c.Bases {
		k := key(start)
		v := d.levels[rollup.BaseLevel].Get(k)
		if _, pending := pendingIn(k, v); v == nil || pending { // of today's rules when it is computed
			continue
		}
		stored := d.rollup(rollup.BaseLevel, k, v)
		if r := c.Replacement(start, &stored); r != nil {
			if err := d.putRollup(rollup.BaseLevel, start, r); err != nil {
				return err
			}
			bases.at(start)
		}
	}
	if err := d.raiseGreatest(c.GreatestW); err != nil {
		return err
	}
	if c.Start > 0 {
		state := binary.BigEndian.AppendUint64([]byte{energy.PackVersion}, uint64(c.Start))
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
