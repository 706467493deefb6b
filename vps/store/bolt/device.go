package bolt

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"runtime"

	"go.etcd.io/bbolt"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/rollup"
	"sunspool/wire"
)

var (
	metaBucket    = []byte("meta")
	devicesBucket = []byte("devices")
	aboutKey      = []byte("about")
	prunedKey     = []byte("pruned")
	levelBuckets  = [rollup.Levels][]byte{[]byte("samples"), []byte("base"), []byte("hours"), []byte("watches"), []byte("days")}
)

// device is the data of one device inside a transaction.
type device struct {
	store  *Store // for the counter of damage, and the list of repairs
	name   string
	root   *bbolt.Bucket
	levels [rollup.Levels]*bbolt.Bucket
	powers bool // rollups are read without their counters
}

// releasePages calls that of the store, for transactions that read many pages.
func (d device) releasePages() { d.store.releasePages(d.root.Tx()) }

// device returns the data of the device of that name, false if it never had a sample.
func (b *Store) device(tx *bbolt.Tx, name string) (d device, ok bool) {
	d.store, d.name, d.root = b, name, tx.Bucket(devicesBucket).Bucket([]byte(name))
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
func (b *Store) createDevice(tx *bbolt.Tx, name string) (d device, err error) {
	d.store, d.name = b, name
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

// about returns the description of a device, the zero About if it is damaged.
func (b *Store) about(tx *bbolt.Tx, name []byte) (a store.About) {
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
		return store.About{}
	}
	return a
}

// extent returns the times of the first and the last sample that the rollups count.
func (d device) extent() (first, last int64, ok bool) {
	days := d.levels[rollup.DayLevel].Cursor()
	k, v := days.First()
	if k == nil {
		return 0, 0, false
	}
	first = d.seen(rollup.DayLevel, k, v).First
	k, v = days.Last()
	return first, d.seen(rollup.DayLevel, k, v).Last, true
}

// seen returns the number and the times of the samples of a row.
func (d device) seen(level int, k, v []byte) energy.Pending {
	if p, ok := pendingIn(k, v); ok {
		return p
	}
	r := d.rollup(level, k, v)
	return r.Pending()
}

// rollup returns the rollup in a row of that level, computed from the rows below it when it is pending or damaged.
func (d device) rollup(level int, k, v []byte) (r energy.Rollup) {
	d.read(&r, level, k, v)
	return r
}

// read is rollup, but stores the result in r: a rollup is more than a kilobyte.
func (d device) read(r *energy.Rollup, level int, k, v []byte) {
	read := r.Read
	if d.powers {
		read = r.ReadPowers
	}
	if payload, ok := unseal(k, v); ok && read(payload) {
		return
	}
	if _, pending := pendingIn(k, v); !pending {
		d.store.damaged.Add(1)
	} else if level == rollup.BaseLevel {
		d.store.repairs.Note(rollup.SpanKey{Device: d.name, Start: ms(k)})
	}
	*r = d.derived(level, ms(k))
}

// derived computes a row from the rows below it.
func (d device) derived(level int, start int64) energy.Rollup {
	end := start + rollup.Spans[level]
	if level == rollup.BaseLevel {
		var r energy.Rollup
		d.samples(start, end, func(s *wire.Sample) bool { r.Add(s); return true })
		return r
	}
	var sum energy.Sum
	d.rows(level-1, start, end, func(_ int64, r *energy.Rollup) bool {
		rollup.AddRow(&sum, level-1, r)
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
		if d.read(&r, level, k, v); !yield(ms(k), &r) {
			return
		}
	}
}

// samples calls yield with the fields of the samples in [from, to) ms, without their values, until it returns false.
func (d device) samples(from, to int64, yield func(*wire.Sample) bool) {
	if from >= to {
		return
	}
	d.releasePages()
	c := d.levels[rollup.SamplesLevel].Cursor()
	for k, v := c.Seek(key(from)); k != nil && ms(k) < to; k, v = c.Next() {
		var s wire.Sample
		payload, ok := unseal(k, v)
		if !ok || s.UnpackFields(payload) != nil {
			d.store.damaged.Add(1)
			continue
		}
		s.Time = rollup.FromMS(ms(k))
		if !yield(&s) {
			return
		}
	}
}

// gather returns the periods of q, and what is around them.
func (d device) gather(ctx context.Context, q store.Query, around bool) (*rollup.Gatherer, error) {
	first, last, ok := d.extent()
	if !ok {
		return rollup.NewGatherer(q, rollup.Scope{}), nil
	}
	scope := rollup.NewScope(q, first, last, around)
	d.powers = !around
	g, err := d.gatherScope(ctx, q, scope)
	if err != nil || !around {
		return g, err
	}
	if scope, wider := g.Wider(first, last, d.dayBeside); wider {
		return d.gatherScope(ctx, q, scope)
	}
	return g, nil
}

func (d device) gatherScope(ctx context.Context, q store.Query, scope rollup.Scope) (*rollup.Gatherer, error) {
	g, p := rollup.NewGatherer(q, scope), pause{ctx: ctx}
	for _, s := range scope.Plan(q) {
		if p.over() {
			break
		}
		if s.Level == rollup.SamplesLevel {
			d.samples(s.From, s.To, func(s *wire.Sample) bool { g.AddSample(s); return !p.over() })
			continue
		}
		d.rows(s.Level, s.From, s.To, func(_ int64, r *energy.Rollup) bool { g.AddRow(s.Level, r); return !p.over() })
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	g.End()
	return g, nil
}

// pause makes a long scan end with its context, and yields the processor: other goroutines would wait for the many
// milliseconds after which Go preempts it.
type pause struct {
	ctx   context.Context
	steps int
}

const pauseEvery = 64 // rows, which take some tens of microseconds

// over counts a row, and reports whether the scan is to end.
func (p *pause) over() bool {
	if p.steps++; p.steps%pauseEvery != 0 {
		return false
	}
	runtime.Gosched()
	return p.ctx.Err() != nil
}

// dayBeside returns where the n-th day with samples before t, or after it, begins: the last such day if there are fewer.
func (d device) dayBeside(t int64, back bool, n int) int64 {
	c := d.levels[rollup.DayLevel].Cursor()
	k, _ := c.Seek(key(t))
	step := c.Next
	if back {
		step = c.Prev
		if k == nil {
			k, _ = c.Last()
		} else {
			k, _ = c.Prev()
		}
	}
	found := t
	for ; k != nil && n > 0; n-- {
		found = ms(k)
		k, _ = step()
	}
	return found
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

// key returns the key of a time in milliseconds since 1970; validate rejects earlier times.
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
		return s, false, fmt.Errorf("sample of device %q at %v: %w", name, rollup.FromMS(ms(k)), err)
	}
	s.DeviceID, s.Time = name, rollup.FromMS(ms(k))
	return s, true, nil
}
