package bolt

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/rollup"
	"sunspool/wire"
)

// putAtOnce is how many samples of a day a transaction has, which keeps what it changes in memory: more than a day has at a
// sample each five seconds.
const putAtOnce = 20_000

// PutDay is that of store.Replica. A day with very many samples is put in several transactions, and the rollups of its samples
// are pending until the last one: what is there of a day that is not whole is counted, and computed, as it is.
func (r *Replica) PutDay(ctx context.Context, name string, day, kept int64, next func() ([]wire.Sample, []store.RollupRow, error)) error {
	p := dayPut{replica: r, name: name, day: day, end: day + rollup.Spans[rollup.DayLevel], kept: kept, next: next}
	for !p.done {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := r.update(p.some); err != nil {
			return err
		}
	}
	return nil
}

// update runs change in a transaction.
func (r *Replica) update(change func(*bbolt.Tx) error) (err error) {
	defer recoverDamage(r.store.path, &err)()
	tx, err := r.store.db.Begin(true)
	if err != nil {
		return store.Unavailable("write "+r.store.path, err)
	}
	defer func() {
		if tx.DB() != nil {
			tx.Rollback()
		}
	}()
	if err := change(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return store.Unavailable("write "+r.store.path, err)
	}
	return nil
}

// dayPut is a PutDay at work.
type dayPut struct {
	replica        *Replica
	name           string
	day, end, kept int64
	next           func() ([]wire.Sample, []store.RollupRow, error)

	begun, done bool
	before      bool                     // there were samples of the day
	new         map[int64]energy.Pending // by base row, what this transaction has put
	sent        store.Sum                // of the samples of next, if there were
	buffer      []byte
}

// some puts the next samples, or the rollups.
func (p *dayPut) some(tx *bbolt.Tx) error {
	d, err := p.replica.store.createDevice(tx, p.name)
	if err != nil {
		return err
	}
	samples := d.levels[rollup.SamplesLevel]
	if !p.begun {
		p.begun = true
		if err := p.deletePruned(samples); err != nil {
			return err
		}
	}
	p.new = map[int64]energy.Pending{}
	for put := 0; put < putAtOnce; {
		some, rollups, err := p.next()
		if err != nil {
			return err
		}
		if len(some) == 0 {
			p.done = true
			return p.finish(d, rollups)
		}
		if p.before {
			for i := range some {
				p.buffer = p.sent.AddSample(some[i], p.buffer)
			}
		}
		w := newWrite(p.name)
		w.pack(some)
		for _, row := range w.rows {
			k := key(row.ms)
			if p.before {
				if _, whole := unseal(k, samples.Get(k)); whole {
					continue
				}
			}
			if err := samples.Put(k, row.value); err != nil {
				return err
			}
			base := rollup.StartOf(rollup.BaseLevel, row.ms)
			of := p.new[base]
			of.Add(energy.Pending{Rows: 1, First: row.ms, Last: row.ms})
			p.new[base] = of
		}
		put += len(some)
	}
	return p.pend(d)
}

// pend makes the rollups of the samples that were put pending. One that counts pruned samples stays as it is: it could not be
// computed again.
func (p *dayPut) pend(d device) error {
	all, pruned := changes{}, d.pruned()
	for base, of := range p.new {
		if base < pruned {
			continue
		}
		known, _, _ := d.known(rollup.BaseLevel, base)
		known.Add(of)
		k := key(base)
		if err := d.levels[rollup.BaseLevel].Put(k, seal(k, known.Append(nil))); err != nil {
			return err
		}
		all.at(base)
	}
	defer func() { d.store.stillPending = d.store.stillPending[:0] }() // a server notes them when it reads them
	return d.sumUp(all)
}

// deletePruned deletes the samples of the day before kept, and looks whether there are others.
func (p *dayPut) deletePruned(samples *bbolt.Bucket) error {
	c := samples.Cursor()
	for k, _ := c.Seek(key(p.day)); k != nil && ms(k) < min(p.end, p.kept); k, _ = c.Seek(key(p.day)) {
		if err := c.Delete(); err != nil {
			return err
		}
	}
	k, _ := c.Seek(key(p.day))
	p.before = k != nil && ms(k) < p.end
	return nil
}

// finish puts the rollups, if the day has the samples of next and no others.
func (p *dayPut) finish(d device, rollups []store.RollupRow) error {
	if p.before {
		var stored store.Sum
		if err := d.eachSample(context.Background(), p.day, p.end, true, func(s *wire.Sample, _ int64) error {
			p.buffer = stored.AddSample(*s, p.buffer)
			return nil
		}); err != nil {
			return err
		}
		if stored != p.sent {
			return store.ErrForeign
		}
	}
	for level := rollup.BaseLevel; level < rollup.Levels; level++ {
		c := d.levels[level].Cursor()
		for k, _ := c.Seek(key(p.day)); k != nil && ms(k) < p.end; k, _ = c.Seek(key(p.day)) {
			if err := c.Delete(); err != nil {
				return err
			}
		}
	}
	for _, row := range rollups {
		k := key(row.Start)
		if err := d.levels[row.Level].Put(k, seal(k, append([]byte(nil), row.Packed...))); err != nil {
			return err
		}
	}
	return nil
}

// PutState is that of store.Replica.
func (r *Replica) PutState(_ context.Context, s store.State) error {
	return r.update(func(tx *bbolt.Tx) error {
		d, err := r.store.createDevice(tx, s.Device)
		if err != nil {
			return err
		}
		put := func(k []byte, some bool, payload []byte) {
			if !some {
				err = errors.Join(err, d.root.Delete(k))
				return
			}
			err = errors.Join(err, d.root.Put(k, seal(k, payload)))
		}
		about, wrong := json.Marshal(s.About)
		number := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
		put(aboutKey, !s.About.IsZero(), about)
		put(prunedKey, !s.Pruned.IsZero(), number(uint64(s.Pruned.UnixMilli())))
		put(countedKey, s.Counted > 0, []byte{byte(s.Counted)})
		put(countingKey, s.Counting > 0, append([]byte{byte(s.Counting)}, number(uint64(s.CountedFrom.UnixMilli()))...))
		if err := errors.Join(err, wrong, d.root.Delete(greatestKey), d.raiseGreatest(s.GreatestW)); err != nil {
			return err
		}
		return d.clearAside(s.Aside)
	})
}

// clearAside deletes what is set aside, if there is anything. The next number is one after last.
func (d device) clearAside(last int64) error {
	for _, name := range [][]byte{asideBucket, asideKeysBucket} {
		if d.root.Bucket(name) == nil {
			continue
		}
		if err := d.root.DeleteBucket(name); err != nil {
			return err
		}
	}
	if last == 0 {
		return nil
	}
	rows, err := d.root.CreateBucket(asideBucket)
	_, err2 := d.root.CreateBucket(asideKeysBucket)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	return rows.SetSequence(uint64(last))
}

// PutAside is that of store.Replica.
func (r *Replica) PutAside(_ context.Context, name string, some []store.Aside) error {
	return r.update(func(tx *bbolt.Tx) error {
		d, err := r.store.createDevice(tx, name)
		if err != nil {
			return err
		}
		rows, keys := d.root.Bucket(asideBucket), d.root.Bucket(asideKeysBucket)
		if rows == nil || keys == nil {
			return fmt.Errorf("device %q: set aside before its state was stored", name)
		}
		for i := range some {
			k, hash := key(some[i].Number), store.KeyOfAside(some[i].JSON)
			if err := errors.Join(rows.Put(k, seal(k, packAside(&some[i]))), keys.Put(hash[:], k)); err != nil {
				return err
			}
		}
		return nil
	})
}

// PutTokens is that of store.Replica.
func (r *Replica) PutTokens(_ context.Context, all []store.Token) error {
	return r.replaceBeside(tokensBucket, func(tokens *bbolt.Bucket) error {
		for i := range all {
			if err := putToken(tokens, &all[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// PutSites is that of store.Replica.
func (r *Replica) PutSites(_ context.Context, all []store.Site) error {
	return r.replaceBeside(sitesBucket, func(sites *bbolt.Bucket) error {
		for _, s := range all {
			text, err := json.Marshal(s.Devices)
			if err != nil {
				return err
			}
			k := []byte(s.Name)
			if err := sites.Put(k, seal(k, text)); err != nil {
				return err
			}
		}
		return nil
	})
}

// replaceBeside replaces a bucket beside the devices. Its sequence, which is a version, goes on.
func (r *Replica) replaceBeside(name []byte, fill func(*bbolt.Bucket) error) error {
	return r.update(func(tx *bbolt.Tx) error {
		version := uint64(0)
		if old := tx.Bucket(name); old != nil {
			version = old.Sequence()
			if err := tx.DeleteBucket(name); err != nil {
				return err
			}
		}
		bucket, err := tx.CreateBucket(name)
		if err != nil {
			return err
		}
		return errors.Join(bucket.SetSequence(version), fill(bucket))
	})
}
