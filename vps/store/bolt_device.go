package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"

	bolt "go.etcd.io/bbolt"

	"sunspool/vps/energy"
	"sunspool/wire"
)

var (
	metaBucket    = []byte("meta")
	devicesBucket = []byte("devices")
	aboutKey      = []byte("about")
	prunedKey     = []byte("pruned")
	levelBuckets  = [levels][]byte{[]byte("samples"), []byte("base"), []byte("hours"), []byte("watches"), []byte("days")}
)

// device is the data of one device inside a transaction.
type device struct {
	store  *Bolt // counts the damage
	root   *bolt.Bucket
	levels [levels]*bolt.Bucket
}

// device returns the data of the device of that name, false if it never had a sample.
func (b *Bolt) device(tx *bolt.Tx, name string) (d device, ok bool) {
	d.store, d.root = b, tx.Bucket(devicesBucket).Bucket([]byte(name))
	if d.root == nil {
		return d, false
	}
	for i, bucket := range levelBuckets {
		if d.levels[i] = d.root.Bucket(bucket); d.levels[i] == nil {
			return d, false
		}
	}
	return d, true
}

// createDevice returns the data of the device of that name, for writing.
func (b *Bolt) createDevice(tx *bolt.Tx, name string) (d device, err error) {
	d.store = b
	all := tx.Bucket(devicesBucket)
	if d.root = all.Bucket([]byte(name)); d.root == nil {
		if d.root, err = all.CreateBucket([]byte(name)); err != nil {
			return d, err
		}
		if err := d.setCounted(); err != nil {
			return d, err
		}
	}
	for i, bucket := range levelBuckets {
		if d.levels[i], err = d.root.CreateBucketIfNotExists(bucket); err != nil {
			return d, err
		}
		d.levels[i].FillPercent = 0.95 // rows come in the order of time and stay; bbolt forgets this with the transaction
	}
	return d, nil
}

// about returns what is remembered of a device; of what is damaged, nothing.
func (b *Bolt) about(tx *bolt.Tx, name []byte) (a About) {
	d := tx.Bucket(devicesBucket).Bucket(name)
	if d == nil {
		return a
	}
	v := d.Get(aboutKey)
	if v == nil {
		return a
	}
	payload, ok := unseal(aboutKey, v)
	if !ok || json.Unmarshal(payload, &a) != nil {
		b.damaged.Add(1)
		return About{}
	}
	return a
}

// extent returns the times of the first and the last sample that the rollups know of.
func (d device) extent() (first, last int64, ok bool) {
	days := d.levels[dayLevel].Cursor()
	k, v := days.First()
	if k == nil {
		return 0, 0, false
	}
	first = d.rollup(dayLevel, k, v).First
	k, v = days.Last()
	return first, d.rollup(dayLevel, k, v).Last, true
}

// rollup returns what a row of that level says, computed from the rows below it when it is damaged.
func (d device) rollup(level int, k, v []byte) (r energy.Rollup) {
	if payload, ok := unseal(k, v); ok && r.Read(payload) {
		return r
	}
	d.store.damaged.Add(1)
	return d.derived(level, ms(k))
}

// derived computes a row from the rows below it.
func (d device) derived(level int, start int64) energy.Rollup {
	end := start + spans[level]
	if level == baseLevel {
		var r energy.Rollup
		d.samples(start, end, func(s *wire.Sample) bool { r.Add(s); return true })
		return r
	}
	var sum energy.Sum
	d.rows(level-1, start, end, func(start int64, r *energy.Rollup) bool {
		addRow(&sum, level-1, start, r)
		return true
	})
	return sum.Rollup()
}

// rows calls yield with the rollups of one level that start in [from, to) ms, until it returns false. Yield must not keep
// its pointer: the next row is in the same place.
func (d device) rows(level int, from, to int64, yield func(start int64, r *energy.Rollup) bool) {
	if from >= to {
		return
	}
	var r energy.Rollup
	c := d.levels[level].Cursor()
	for k, v := c.Seek(key(from)); k != nil && ms(k) < to; k, v = c.Next() {
		if r = d.rollup(level, k, v); !yield(ms(k), &r) {
			return
		}
	}
}

// samples calls yield with the fields of the samples in [from, to) ms, without their values, until it returns false.
func (d device) samples(from, to int64, yield func(*wire.Sample) bool) {
	if from >= to {
		return
	}
	c := d.levels[samplesLevel].Cursor()
	for k, v := c.Seek(key(from)); k != nil && ms(k) < to; k, v = c.Next() {
		var s wire.Sample
		payload, ok := unseal(k, v)
		if !ok || s.UnpackFields(payload) != nil {
			d.store.damaged.Add(1)
			continue
		}
		s.Time = fromMS(ms(k))
		if !yield(&s) {
			return
		}
	}
}

// periods returns the periods of q.
func (d device) periods(ctx context.Context, q Query) ([]energy.Period, error) {
	first, last, ok := d.extent()
	if !ok {
		return nil, nil
	}
	from, to := q.within(first, last)
	g := gatherer{resolution: q.Resolution, zone: q.Zone, from: from, to: to}
	for _, s := range plan(from, to, q.Resolution, q.Zone) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if s.level == samplesLevel {
			d.samples(s.from, s.to, func(s *wire.Sample) bool { g.sample(s); return true })
			continue
		}
		d.rows(s.level, s.from, s.to, func(start int64, r *energy.Rollup) bool { g.row(s.level, start, r); return true })
	}
	return g.done(), nil
}

// readingRows is how many base rows Readings looks through on each side: a counter that one of them lacks, because the
// dongle had a bad moment, is in another.
const readingRows = 36

// readings returns the last readings before t ms and the first at t or after it. A base row that t cuts is read sample by
// sample; the others speak for themselves, also where their samples are pruned.
func (d device) readings(t int64) (before, after Readings) {
	in, next := spanOf(baseLevel, t), spanOf(baseLevel, t+spans[baseLevel]-1)
	d.samples(in, next, func(s *wire.Sample) bool {
		for i, r := range energy.ReadingsOf(s) {
			switch {
			case !r.Known():
			case r.At < t:
				before[i] = r
			case !after[i].Known():
				after[i] = r
			}
		}
		return true
	})
	c := d.levels[baseLevel].Cursor()
	k, v := c.Seek(key(in))
	if k == nil {
		k, v = c.Last()
	} else if ms(k) >= in {
		k, v = c.Prev()
	}
	for range readingRows {
		if k == nil {
			break
		}
		r := d.rollup(baseLevel, k, v)
		for i, counter := range r.Counters {
			if !before[i].Known() {
				before[i] = counter.Last
			}
		}
		k, v = c.Prev()
	}
	k, v = c.Seek(key(next))
	for range readingRows {
		if k == nil {
			break
		}
		r := d.rollup(baseLevel, k, v)
		for i, counter := range r.Counters {
			if !after[i].Known() {
				after[i] = counter.First
			}
		}
		k, v = c.Next()
	}
	return before, after
}

// derive writes the row of that level that starts at start from the rows below it.
func (d device) derive(level int, start int64) error {
	r := d.derived(level, start)
	return d.putRollup(level, start, &r)
}

func (d device) putRollup(level int, start int64, r *energy.Rollup) error {
	k := key(start)
	return d.levels[level].Put(k, seal(k, r.Append(nil)))
}

// A bit that flips on the disk is silent: bbolt has no checksum over its data. Each value ends with one over its key and
// itself.
const checksumSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(k, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(k, castagnoli), castagnoli, payload)
}

func seal(k, payload []byte) []byte {
	return binary.BigEndian.AppendUint32(payload, checksum(k, payload))
}

func unseal(k, v []byte) (payload []byte, ok bool) {
	n := len(v) - checksumSize
	if n < 0 {
		return nil, false
	}
	return v[:n], binary.BigEndian.Uint32(v[n:]) == checksum(k, v[:n])
}

// key is the key of a time in milliseconds since 1970; validate keeps out what is before.
func key(ms int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(ms)) }

func ms(k []byte) int64 { return int64(binary.BigEndian.Uint64(k)) }

// sample returns the sample in a row, with its values.
func (d device) sample(name string, k, v []byte) (s wire.Sample, whole bool, err error) {
	packed, ok := unseal(k, v)
	if !ok {
		d.store.damaged.Add(1)
		return s, false, nil
	}
	if err := s.Unpack(packed); err != nil {
		return s, false, fmt.Errorf("sample of device %q at %v: %w", name, fromMS(ms(k)), err)
	}
	s.DeviceID, s.Time = name, fromMS(ms(k))
	return s, true, nil
}
