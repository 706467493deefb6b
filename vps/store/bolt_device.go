package store

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"math"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/wire"
)

var (
	metaBucket    = []byte("meta")
	devicesBucket = []byte("devices")
	zoneKey       = []byte("zone")
)

const (
	quarter = 15 * time.Minute
	day     = 24 * time.Hour
)

// levels are the buckets of a device. A row of one covers step milliseconds and is the sum of the rows below in that
// time. A quarter of an hour divides the hours of every zone on earth; with days of UTC a month of any zone is some 30
// days and, at its two ends, some 100 quarters.
var levels = [...]struct {
	bucket []byte
	step   int64
}{
	{[]byte("samples"), 1},
	{[]byte("quarters"), quarter.Milliseconds()},
	{[]byte("days"), day.Milliseconds()},
}

// device is the data of one device inside a transaction.
type device struct {
	store  *Bolt // counts the damage
	levels [len(levels)]*bolt.Bucket
}

// device returns the data of the device of that name, false if it never had a sample.
func (b *Bolt) device(tx *bolt.Tx, name string) (d device, ok bool) {
	root := tx.Bucket(devicesBucket).Bucket([]byte(name))
	if root == nil {
		return d, false
	}
	d.store = b
	for i, l := range levels {
		if d.levels[i] = root.Bucket(l.bucket); d.levels[i] == nil {
			return d, false
		}
	}
	return d, true
}

// createDevice returns the data of the device of that name, for writing.
func (b *Bolt) createDevice(tx *bolt.Tx, name string) (d device, root *bolt.Bucket, err error) {
	root, err = tx.Bucket(devicesBucket).CreateBucketIfNotExists([]byte(name))
	if err != nil {
		return d, nil, err
	}
	d.store = b
	for i, l := range levels {
		if d.levels[i], err = root.CreateBucketIfNotExists(l.bucket); err != nil {
			return d, nil, err
		}
		d.levels[i].FillPercent = 0.95 // rows come in the order of time and stay; bbolt forgets this with the transaction
	}
	return d, root, nil
}

// series returns the buckets of q. Each costs a search for its first sample and the sum of the rollups in it.
func (d device) series(ctx context.Context, q Query) (buckets []wire.Bucket, err error) {
	from, to := int64(0), int64(math.MaxInt64)
	if !q.From.IsZero() {
		from = max(from, ceil(q.From))
	}
	if !q.To.IsZero() {
		to = ceil(q.To)
	}
	for samples := d.levels[0].Cursor(); ; {
		k, _ := samples.Seek(key(from))
		if k == nil || ms(k) >= to {
			return buckets, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if ms(k) < from { // bbolt searches by halves and finds anything then; going on would go round for ever
			return nil, damage(d.store.path, "its keys are not in order")
		}
		from = ms(k)
		start, end := q.Resolution.period(fromKey(k), q.Zone)
		var r rollup
		d.sum(&r, 0, from, min(end.UnixMilli(), to))
		if r.count > 0 {
			buckets = append(buckets, r.bucket(start))
		}
		from = end.UnixMilli()
	}
}

// sum adds to r all samples with a time in [from, to) ms, by the rows of the given level at the ends and of the levels
// above it for all that they cover.
func (d device) sum(r *rollup, level int, from, to int64) {
	if up := level + 1; up < len(levels) {
		step := levels[up].step
		first, end := (from+step-1)/step*step, to/step*step
		if first < end {
			d.sum(r, level, from, first)
			d.sum(r, up, first, end)
			d.sum(r, level, end, to)
			return
		}
	}
	d.scan(r, level, from, to)
}

// scan adds to r the rows of one level that start in [from, to) ms. What a damaged rollup should say is computed from
// the rows below it.
func (d device) scan(r *rollup, level int, from, to int64) {
	if from >= to {
		return
	}
	c := d.levels[level].Cursor()
	for k, v := c.Seek(key(from)); k != nil && ms(k) < to; k, v = c.Next() {
		var s wire.Sample
		var row rollup
		payload, ok := unseal(k, v)
		switch {
		case ok && level == 0 && s.UnpackFields(payload) == nil:
			r.addSample(&s)
		case ok && level > 0 && row.read(payload):
			r.add(&row)
		case level == 0:
			d.store.damaged.Add(1)
		default:
			d.store.damaged.Add(1)
			d.scan(r, level-1, ms(k), ms(k)+levels[level].step)
		}
	}
}

// derive writes the row of that level that starts at start from the rows below it.
func (d device) derive(level int, start int64) error {
	var r rollup
	d.scan(&r, level-1, start, start+levels[level].step)
	k := key(start)
	return d.levels[level].Put(k, seal(k, r.append(make([]byte, 0, rollupSize+checksumSize))))
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

func fromKey(k []byte) time.Time { return time.UnixMilli(ms(k)).UTC() }

// ceil returns the first whole millisecond at or after t.
func ceil(t time.Time) int64 {
	ms := t.UnixMilli()
	if time.UnixMilli(ms).Before(t) {
		ms++
	}
	return ms
}
